"""Journeys share their processes per file: a service that has seen other requests is what users meet, too."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dev.postgres import PostgreSQL
from dev.token_issuer import TokenIssuer
from tests.support.running_service import RunningService, running_service

NewService = Callable[..., RunningService]


@pytest.fixture(scope="module")
def new_service(
    postgres: PostgreSQL, migrated_template: str, token_issuer: TokenIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewService]:
    """Yield a function that returns a service with its own database and broker, and nothing started."""
    with ExitStack() as stack:

        def make(**settings: str) -> RunningService:
            folder = tmp_path_factory.mktemp("service")
            return stack.enter_context(
                running_service(
                    postgres=postgres, template=migrated_template, issuer=token_issuer, folder=folder, **settings
                )
            )

        yield make


@pytest.fixture(scope="module")
def service(new_service: NewService) -> RunningService:
    """Return the whole service, both processes ready, every request traced, impatient about open orders."""
    service = new_service(APP_ORDERS__SETTLE_AFTER_SECONDS="0.3")
    asyncio.run(service.start("serve", "worker"))
    return service


@pytest.fixture(scope="module")
def api(new_service: NewService) -> RunningService:
    """Return the HTTP process alone, for tests that nothing must come out of."""
    service = new_service()
    asyncio.run(service.start("serve"))
    return service
