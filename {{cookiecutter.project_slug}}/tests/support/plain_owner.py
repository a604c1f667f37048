"""The tables' owner as it should be in production: a login that owns them, and neither superuser nor anything else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine

_LOGIN = "plain_owner"
# As if it had run the migrations: what they made is its own, and what they granted to their login is granted to it.
_HAND_OVER = f"""
    DO $$
    DECLARE
        found record;
    BEGIN
        BEGIN
            CREATE ROLE {_LOGIN} LOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        GRANT CREATE ON SCHEMA public TO {_LOGIN};
        FOR found IN SELECT relname FROM pg_class
                WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace LOOP
            EXECUTE format('ALTER TABLE %I OWNER TO {_LOGIN}', found.relname);
        END LOOP;
        FOR found IN SELECT policyname, tablename FROM pg_policies WHERE current_user = ANY(roles) LOOP
            EXECUTE format('ALTER POLICY %I ON %I TO {_LOGIN}', found.policyname, found.tablename);
        END LOOP;
    END $$
"""  # noqa: S608 - a name of our own


@asynccontextmanager
async def plain_owner(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Give all tables of the database of `engine`, a superuser's, to a plain login, and yield an engine of that one."""
    async with engine.begin() as connection:
        await connection.execute(text(_HAND_OVER))
    url = engine.url.set(username=_LOGIN).render_as_string(hide_password=False)
    owner = create_engine(DatabaseSettings.model_validate({"url": url}), application_name="test")
    try:
        yield owner
    finally:
        await owner.dispose()
