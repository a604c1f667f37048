"""Journeys share their processes per file: a service that has seen other requests is what users meet, too."""

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.retention import Remover
from dev.postgres import PostgreSQL
from dev.token_issuer import TokenIssuer
from tests.support.old_orders import DUE, PATIENCE, given_months, given_orders
from tests.support.retention import BusyStore
from tests.support.running_service import RunningService, running_service

NewService = Callable[..., RunningService]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what the file's processes said last: one that has ended makes every later test fail."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for service in (value for value in item.funcargs.values() if isinstance(value, RunningService)):
            for process in service.processes.values():
                running = "is running" if process.process.running else "has ended"
                report.sections.append((process.process.name, process.obituary(running)))
    return report


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


@pytest.fixture
def busy_store(tmp_path: Path) -> BusyStore:
    """Return a folder for archives, in which something may happen."""
    return BusyStore(tmp_path)


@pytest.fixture
def remover(engine: AsyncEngine, busy_store: BusyStore) -> Remover:
    """Return what follows the rules, as a superuser."""
    return Remover(engine, busy_store, PATIENCE)


@pytest.fixture
async def old_orders(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine of a database with a month that is due, and one that is not."""
    await given_months(engine, DUE)
    await given_orders(engine, DUE, {"acme": 30, "globex": 20})
    await given_orders(engine, DUE.following, {"acme": 30, "globex": 20})
    return engine
