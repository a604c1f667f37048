"""Fixtures of the tests around operations."""

from collections.abc import Iterator

import pytest

from dev.http_server import serving
from tests.support.exposing_process import ExposingProcess


@pytest.fixture
def process() -> Iterator[ExposingProcess]:
    """Yield a process that listens."""
    process = ExposingProcess()
    with serving(process.app()) as process.url:
        yield process
