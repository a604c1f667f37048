"""Journeys share their processes per file: a service that has seen other requests is what users meet, too."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.postgres import PostgreSQL
from dev.token_issuer import TokenIssuer
from tests.support.running_service import RunningService, running_service


@pytest.fixture(scope="module")
def service(
    postgres: PostgreSQL, migrated_template: str, token_issuer: TokenIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """Yield the whole service, both processes ready, every request traced."""
    folder: Path = tmp_path_factory.mktemp("service")
    with running_service(
        postgres=postgres,
        template=migrated_template,
        issuer=token_issuer,
        folder=folder,
        APP_ORDERS__SETTLE_AFTER_SECONDS="0.3",
        APP_PAYMENTS__TIMEOUT_SECONDS="2",
    ) as service:
        asyncio.run(service.start("serve", "worker"))
        yield service
