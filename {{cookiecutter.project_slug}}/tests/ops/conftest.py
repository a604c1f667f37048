"""Fixtures of the tests around operations."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.http_server import serving
from dev.ops.tools import ToolMissing, find
from dev.postgres import PostgreSQL
from dev.token_issuer import TokenIssuer
from tests.support.exposing_process import ExposingProcess
from tests.support.running_service import running_service
from tests.support.watched_service import Watched, watched


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


@pytest.fixture(scope="module")
def live(
    postgres: PostgreSQL,
    migrated_template: str,
    token_issuer: TokenIssuer,
    tool: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    """Yield the service, tried by its probe, with a Prometheus that has its rules, a hundred times as fast."""
    for program in ("prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter"):
        tool(program)
    folder = tmp_path_factory.mktemp("watched")
    with (
        running_service(
            postgres=postgres,
            template=migrated_template,
            issuer=token_issuer,
            folder=folder,
            APP_ORDERS__SETTLE_AFTER_SECONDS="0.3",
        ) as service,
        watched(service, folder, database_url=postgres.url(service.database)) as live,
    ):
        yield live
