"""A real Unleash for one module of tests, on the run's PostgreSQL; without node the tests are left out and say so."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

from dev.delivery.tools import ToolMissing
from dev.postgres import PostgreSQL
from dev.unleash import Unleash


@contextmanager
def running_unleash(postgres: PostgreSQL) -> Iterator[Unleash]:
    """Yield the server, with a database of its own."""
    name = f"unleash_{uuid4().hex}"
    postgres.create_database(name)
    try:
        unleash = Unleash(postgres, name)
    except ToolMissing as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"UNPROVEN: {exc}")
    try:
        asyncio.run(unleash.start())
        yield unleash
    finally:
        unleash.process.stop()
        postgres.drop_database(name)
