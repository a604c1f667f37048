"""A primary with a streaming replica: two real servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from app.kit.db import DatabaseSettings
from dev.postgres import PostgreSQL


@dataclass
class Replicated:
    """Both servers, running."""

    primary: PostgreSQL
    replica: PostgreSQL

    def settings(self, database: str, *, of: PostgreSQL, login: str = "postgres") -> DatabaseSettings:
        """Return how to reach a database on one of the two."""
        return DatabaseSettings.model_validate({"url": as_login(of.url(database), login), "pool_size": 3})

    def url_of_both(self, database: str, login: str) -> str:
        """Return an address that leads to whichever of them is the primary."""
        hosts = [f"{make_url(server.url()).query['host']}:5432" for server in (self.primary, self.replica)]
        url = make_url(self.primary.url(database)).set(username=login, query={"host": hosts})
        return url.render_as_string(hide_password=False)


@contextmanager
def replicated(folder: Path, *, synchronous: bool = False) -> Iterator[Replicated]:
    """Yield two servers; with `synchronous`, what is committed is on both."""
    primary = PostgreSQL(folder / "primary", durable=False)
    primary.start()
    try:
        replica = primary.replica(folder / "replica")
        replica.start()
        try:
            if synchronous:
                primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                primary.execute("SELECT pg_reload_conf()")
            yield Replicated(primary, replica)
        finally:
            replica.stop()
    finally:
        primary.stop()


def as_login(url: str, login: str) -> str:
    """Return `url` for another login."""
    return make_url(url).set(username=login).render_as_string(hide_password=False)
