"""Fixtures for patterns that need more than the migrated database of `tests/conftest.py`."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine
from dev.postgres import PostgreSQL


@pytest.fixture
async def empty(postgres: PostgreSQL) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on a database without any table."""
    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    engine = create_engine(DatabaseSettings.model_validate({"url": postgres.url(name)}), application_name="test")
    yield engine
    await engine.dispose()
    postgres.drop_database(name)
