"""Removing what is old, by `retention.toml`: rules, months and archives put together.

A month is archived while it is part of its table. Then it becomes a table of its own, in which nobody can change a row,
is compared with its archive, and dropped; or put back, if rows have changed meanwhile. A month of which some rows stay
is not dropped: the others are deleted from it. A run that was cut off anywhere is gone on with by the next.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import TypeAlias

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.clock import Clock
from app.kit.object_storage import Store
from app.patterns import archive, audit_log, partitions, retention
from app.patterns.partitions import Month, PartitionedTable, PartitionSettings
from app.patterns.retention import Rule

_TENANTS = text("""
    SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = 'tenant_id')
""")
Guard: TypeAlias = Callable[[AsyncConnection, str], Awaitable[None]]
_GUARDED: dict[str, Guard] = {"audit_log": audit_log.before_drop}
"""Tables of which only whole months go, when their pattern agrees and has noted it: it has an archive of its own."""
_log = structlog.get_logger(__name__)


class CannotRemove(Exception):
    """A rule cannot be followed; the message says why."""


class Outcome(StrEnum):
    """What became of a month."""

    DROPPED = "dropped"
    KEPT = "kept"
    """Some of its rows stay; the others are gone."""
    PUT_BACK = "put back"
    """Rows have changed, or are held, since it was archived: it is left for the next run."""


@dataclass(frozen=True, slots=True)
class Due:
    """One month that may go."""

    table: PartitionedTable
    month: Month
    rule: Rule
    kept: str
    """The condition in SQL for a row that stays."""
    detached: bool = False
    """Whether a run was cut off that had begun to drop it."""

    @property
    def partition(self) -> str:
        """The name of its table."""
        return self.month.partition_of(self.table.name)

    @property
    def archives(self) -> str:
        """What the names of its archives begin with."""
        return f"{self.table.name}/{self.month}/"


def rules() -> dict[str, Rule]:
    """Return the rules of this service.

    Raises:
        retention.BadRules: the file cannot be used.
    """
    return dict(retention.parse((files("app") / "retention.toml").read_text("utf-8")))


async def due(connection: AsyncConnection, clock: Clock) -> Sequence[Due]:
    """Return the months that may go by the rules, of each table the oldest first.

    Raises:
        CannotRemove: a rule is for a table that is not partitioned by month.
    """
    known = {table.name: table for table in await partitions.tables(connection)}
    found: list[Due] = []
    for name, rule in rules().items():
        if name not in known:
            raise CannotRemove(f"there is a rule for {name}, which is no table that is partitioned by month")
        found += await _due_of(connection, known[name], rule, clock)
    return found


async def _due_of(connection: AsyncConnection, table: PartitionedTable, rule: Rule, clock: Clock) -> list[Due]:
    of_tenants = bool(await connection.scalar(_TENANTS, {"table": table.name}))
    kept = retention.kept(rule.unless, of_tenants=of_tenants)
    names = [partition.name for partition in await partitions.partitions(connection, table.name)]
    months = [month for name in names if (month := Month.of_partition(table.name, name))]
    detached = await partitions.detached(connection, table)
    return [
        Due(table, month, rule, kept, detached=month in detached)
        for month in sorted({*months, *detached})
        if rule.is_due(month.following.begins, clock.now())
    ]


@dataclass(frozen=True, slots=True)
class Archived:
    """An archive that was read to its end."""

    name: str
    manifest: archive.Manifest


class Remover:
    """Follows the rules, as the tables' owner."""

    def __init__(self, owner: AsyncEngine, store: Store | None, settings: PartitionSettings) -> None:
        self._owner = owner
        self._store = store
        self._settings = settings

    async def remove(self, due: Due) -> Outcome:
        """Remove a month as far as it may go.

        Raises:
            CannotRemove: there is nowhere to archive to, or the table's pattern does not agree.
            archive.ArchiveDamaged: the storage does not return what was written.
            partitions.PartitionBusy, StorageUnavailable: try again later.
            sqlalchemy.exc.DBAPIError: the login does not own the table, among others.
        """
        if guard := _GUARDED.get(due.table.name):
            return await self._drop_guarded(due, guard)
        if due.detached:
            return await self._drop(due, await self._read_archive(due))
        await partitions.open_to_owner(self._owner, self._settings, due.partition)
        goes = f"NOT {due.kept}"
        stays = await self._any(due, due.kept)
        if not stays or await self._any(due, goes):
            archived = await self._archive(due, goes)
            if not stays and await self._detach(due):
                return await self._drop(due, archived)
            await self._delete(due, archived, goes)
        await partitions.open_to_owner(self._owner, self._settings, due.partition, opened=False)
        _log.info("retention.month_kept", table=due.table.name, partition=due.partition)
        return Outcome.KEPT

    async def _archive(self, due: Due, goes: str) -> Archived | None:
        """Return the archive of the rows that go, which may be one that an earlier run has written."""
        if due.rule.then == "drop":
            return None
        store = self._storage()
        async with self._owner.connect() as connection:
            source = await archive.describe(connection, due.partition, where=goes)
            earlier = await self._read_archive(due)
            if earlier and await _is_of(connection, earlier.manifest, source):
                return earlier
            name = due.archives + str(await _number(store, due) + 1)
            await archive.write(connection, store, source, name)
        manifest = await archive.verify(store, name)
        _log.info("retention.archived", table=due.table.name, partition=due.partition, archive=name, rows=manifest.rows)
        return Archived(name, manifest)

    async def _read_archive(self, due: Due) -> Archived | None:
        """Return the month's last archive if it is whole; of a damaged one its rows are archived again."""
        if due.rule.then == "drop":
            return None
        store = self._storage()
        name = due.archives + str(await _number(store, due))
        try:
            return Archived(name, await archive.verify(store, name))
        except archive.ArchiveDamaged as exc:
            _log.warning("retention.archive_unusable", archive=name, reason=str(exc))
        return None

    async def _detach(self, due: Due) -> bool:
        """Take the month out of its table; False if some of its rows stay by now."""

        async def nothing_stays(connection: AsyncConnection) -> bool:
            await retention.freeze(connection)
            return not await _any(connection, due.partition, due.kept)

        return await partitions.detach(self._owner, self._settings, due.table, due.month, if_=nothing_stays)

    async def _drop(self, due: Due, archived: Archived | None) -> Outcome:
        """Drop a month that is a table of its own; put it back if it is not what was archived, or is held by now."""
        if due.rule.then == "drop" or (archived and await self._is_in(archived, due)):
            async with self._owner.begin() as connection:
                await retention.freeze(connection)
                if not await _any(connection, due.partition, due.kept):
                    await connection.execute(text(f"DROP TABLE {due.partition}"))
                    _log.info("retention.month_dropped", table=due.table.name, partition=due.partition)
                    return Outcome.DROPPED
        await partitions.attach(self._owner, self._settings, due.table, due.month)
        await partitions.open_to_owner(self._owner, self._settings, due.partition, opened=False)
        _log.warning("retention.month_put_back", table=due.table.name, partition=due.partition)
        return Outcome.PUT_BACK

    async def _drop_guarded(self, due: Due, guard: Guard) -> Outcome:
        """Drop a month in the transaction in which `guard` agrees; if some of its rows are held, all stay."""
        if due.rule.then != "drop":
            raise CannotRemove(f"the rule for {due.table.name} must say drop: its pattern has an export of its own")

        async def drop(connection: AsyncConnection) -> Outcome:
            await retention.freeze(connection)
            if await _any(connection, due.partition, due.kept):
                return Outcome.KEPT
            await guard(connection, due.partition)
            await connection.execute(text(f"DROP TABLE {due.partition}"))
            return Outcome.DROPPED

        await partitions.open_to_owner(self._owner, self._settings, due.partition)
        outcome = Outcome.KEPT
        try:
            busy = f"{due.month} was not dropped"
            outcome = await partitions.patiently(self._owner, self._settings, due.table.name, busy, drop)
        except audit_log.NotDroppable as exc:
            raise CannotRemove(str(exc)) from exc
        finally:
            if outcome is Outcome.KEPT:
                await partitions.open_to_owner(self._owner, self._settings, due.partition, opened=False)
        if outcome is Outcome.KEPT:
            _log.info("retention.month_kept", table=due.table.name, partition=due.partition)
        else:
            _log.info("retention.month_dropped", table=due.table.name, partition=due.partition)
        return outcome

    async def _is_in(self, archived: Archived, due: Due) -> bool:
        async with self._owner.connect() as connection:
            source = await archive.describe(connection, due.partition)
            return await _is_of(connection, archived.manifest, source)

    async def _delete(self, due: Due, archived: Archived | None, goes: str) -> None:
        """Delete the rows that go of a month of which others stay, some at a time."""
        async with self._owner.connect() as connection:
            if archived is None:
                rows = await _delete_unarchived(connection, due.partition, goes)
            else:
                rows = await archive.remove(
                    connection, self._storage(), archived.name, due.partition, where=goes, first=retention.freeze
                )
        _log.info("retention.rows_deleted", table=due.table.name, partition=due.partition, rows=rows)

    async def _any(self, due: Due, condition: str) -> bool:
        async with self._owner.connect() as connection:
            return await _any(connection, due.partition, condition)

    def _storage(self) -> Store:
        if self._store is None:
            raise CannotRemove("there is nowhere to archive to: APP_RETENTION__ARCHIVE_URL is not set")
        return self._store


async def _number(store: Store, due: Due) -> int:
    """Return the number of a month's last archive; 0 if there is none."""
    last = (name.rpartition("/")[2] for name in await archive.archives(store, due.archives))
    return max((int(number) for number in last if number.isdecimal()), default=0)


async def _delete_unarchived(connection: AsyncConnection, partition: str, goes: str) -> int:
    some = f"SELECT ctid FROM {partition} WHERE {goes} LIMIT 1000"  # noqa: S608 - names of the catalogue
    delete = text(f"DELETE FROM {partition} WHERE ctid = ANY (ARRAY({some})) AND {goes}")  # noqa: S608 - same
    deleted = 0
    while True:
        async with connection.begin():
            await retention.freeze(connection)
            rows = (await connection.execute(delete)).rowcount
        deleted += rows
        if not rows:
            return deleted


async def _is_of(connection: AsyncConnection, manifest: archive.Manifest, source: archive.Source) -> bool:
    """Tell whether an archive holds just the rows that are there."""
    try:
        await archive.compare(connection, manifest, source)
    except (archive.RowsDiffer, archive.ColumnsDiffer):
        return False
    return True


async def _any(connection: AsyncConnection, table: str, condition: str) -> bool:
    query = text(f"SELECT EXISTS (SELECT FROM {table} WHERE {condition})")  # noqa: S608 - names of the catalogue
    return bool(await connection.scalar(query))
