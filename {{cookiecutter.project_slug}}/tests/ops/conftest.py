"""Fixtures of the tests around operations."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.http_server import serving
from dev.ops.tools import ToolMissing, find
from tests.support.exposing_process import ExposingProcess


@pytest.fixture
def process() -> Iterator[ExposingProcess]:
    """Yield a process that listens."""
    process = ExposingProcess()
    with serving(process.app()) as process.url:
        yield process


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Return a function that finds a program; without it a test is left out and says so, and in CI is red."""

    def found(program: str) -> Path:
        try:
            return find(program)
        except ToolMissing as exc:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"UNPROVEN: {exc}")

    return found
