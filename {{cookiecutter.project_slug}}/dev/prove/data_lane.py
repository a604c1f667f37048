"""A lane with all that data is kept in: a replica that reads go to, an export of the audit log, archives; and flags."""

import asyncio
import json
import sys
from pathlib import Path

from dev.environment import database_variables
from dev.flag_server import TOKEN
from dev.ports import free_port
from dev.postgres import PostgreSQL
from dev.process import Process
from dev.prove.customers import PER_SECOND
from dev.prove.lane import Lane


class DataLane(Lane):
    """Its worker looks as often as the rules' time passes fast."""

    def __init__(
        self, name: str, folder: Path, forked_at: Path, *, http: int = 1, customers: float = PER_SECOND
    ) -> None:
        """Nothing starts here."""
        self.export, self.archives = folder / "export", folder / "archives"
        self.flags: Process | None = None
        self._flags_port = free_port()
        settings = {
            "APP_FEATURE_FLAGS__URL": f"http://127.0.0.1:{self._flags_port}/api",
            "APP_FEATURE_FLAGS__TOKEN": TOKEN,
            "APP_FEATURE_FLAGS__POLL_SECONDS": "0.5",
            "APP_FEATURE_FLAGS__TIMEOUT_SECONDS": "0.5",
            "APP_AUDIT_LOG__EXPORT_URL": self.export.as_uri(),
            "APP_AUDIT_LOG__EXPORT_SECONDS": "0.6",
            "APP_AUDIT_LOG__SEAL_SECONDS": "0.2",
            "APP_RETENTION__ARCHIVE_URL": self.archives.as_uri(),
        }
        super().__init__(name, folder, forked_at, http=http, customers=customers, settings=settings)
        for worker in self.deployments["worker"]:
            worker.module = "dev.prove.watchful"
        self._standby: PostgreSQL | None = None

    @property
    def standby(self) -> PostgreSQL:
        """The replica."""
        assert self._standby, "it was not started"
        return self._standby

    async def furnish(self) -> None:
        """Start a replica, and let reads go to it; start a flag server."""
        self.start_flags()
        self._standby = await asyncio.to_thread(self.postgres.replica, self._folder / "standby")
        await self.start_standby()
        # Otherwise it looks for a primary that has come back no more often than each five seconds.
        self.standby.execute("ALTER SYSTEM SET wal_retrieve_retry_interval = '200ms'")
        self.standby.execute("SELECT pg_reload_conf()")
        url = database_variables(self.standby.url(self._database))["APP_DATABASE__URL"]
        self._environment["APP_REPLICAS__URLS"] = json.dumps([url])

    def start_flags(self) -> None:
        """Start the flag server."""
        self.flags = self._start("flags", (sys.executable, "-m", "dev.flag_server", "--port", str(self._flags_port)))

    async def start_primary(self) -> None:
        """Start PostgreSQL, as a platform does when it has ended."""
        await self._up(self.postgres)

    async def kill_primary(self) -> None:
        """End PostgreSQL without a word."""
        await self._down(self.postgres, stop=False)

    async def start_standby(self) -> None:
        """Start the replica, as a platform does when it has ended."""
        await self._up(self.standby)

    async def kill_standby(self) -> None:
        """End the replica without a word."""
        await self._down(self.standby, stop=False)

    def query_replica(self, sql: str) -> str:
        """Return the bare output of one statement of the replica."""
        return self.standby.execute(sql, database=self._database)

    def session(self, name: str, *statements: str) -> Process:
        """Open a session of the database's owner that runs these, one after the other, and is there until they end."""
        return self._start(name, self.postgres.psql(*statements, database=self._database))

    def stop(self) -> None:
        """Stop what was started."""
        if self._standby:
            self._standby.stop()
        super().stop()


def data(lane: Lane) -> DataLane:
    """Return a lane as what it is, where only this kind will do."""
    assert isinstance(lane, DataLane)
    return lane
