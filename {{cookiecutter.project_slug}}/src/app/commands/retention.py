"""`app retention`: remove what is old by the rules, hold it, and see, check or restore what was archived."""

import argparse
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.commands import CommandFailed, owner_engine
from app.kit import object_storage
from app.kit.clock import SystemClock
from app.kit.context import Context, bind
from app.kit.errors import Unavailable
from app.kit.object_storage import Store
from app.patterns import archive, partitions, retention
from app.resources import configure_telemetry
from app.retention import CannotRemove, Due, Outcome, Remover, due, rules
from app.settings import Settings

ADVISORY_LOCK = 0x7265_7461  # "reta": any constant that no other lock of the database has
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_log = structlog.get_logger(__name__)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the group and its commands."""
    about = "Remove what is old by the rules; hold it; see, check or restore what was archived."
    group = commands.add_parser("retention", help=about, description=about)
    actions = group.add_subparsers(required=True, metavar="action")

    for name, command in {"plan": _plan, "run": _run}.items():
        actions.add_parser(name, help=command.__doc__, description=command.__doc__).set_defaults(command=command)

    action = actions.add_parser("hold", help=_hold.__doc__, description=_hold.__doc__)
    action.add_argument("tenant")
    action.add_argument("--reason", required=True, help="such as the matter's reference; it is kept for ever")
    action.set_defaults(command=_hold)

    action = actions.add_parser("release", help=_release.__doc__, description=_release.__doc__)
    action.add_argument("hold", type=int)
    action.set_defaults(command=_release)

    action = actions.add_parser("holds", help=_holds.__doc__, description=_holds.__doc__)
    action.add_argument("--all", action="store_true", help="also those that were released")
    action.set_defaults(command=_holds)

    action = actions.add_parser("archives", help=_archives.__doc__, description=_archives.__doc__)
    action.add_argument("prefix", nargs="?", default="", help="such as orders/2024-11/")
    action.set_defaults(command=_archives)

    action = actions.add_parser("verify", help=_verify.__doc__, description=_verify.__doc__)
    action.add_argument("archive", help="such as orders/2024-11/1")
    action.set_defaults(command=_verify)

    action = actions.add_parser("restore", help=_restore.__doc__, description=_restore.__doc__)
    action.add_argument("archive", help="such as orders/2024-11/1")
    action.add_argument("--into", required=True, type=_table_name, metavar="TABLE", help="made if it does not exist")
    action.set_defaults(command=_restore)


def _table_name(written: str) -> str:
    if not _NAME.fullmatch(written):
        raise argparse.ArgumentTypeError("a table's name is of a-z, 0-9 and _")
    return written


async def _plan(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Print what is due, and which rows of it stay. Nothing is changed, and no lock taken."""
    async with _owner(settings) as engine, engine.connect() as connection:
        sizes = {
            partition.name: f"about {max(partition.rows, 0)} rows, {partition.bytes / 1e6:.1f} MB"
            for table in await partitions.tables(connection)
            for partition in await partitions.partitions(connection, table.name)
        }
        found = await due(connection, SystemClock())
        held = sorted({hold.tenant for hold in await retention.holds(connection)})
    for month in found:
        then = "archive, then drop" if month.rule.then == "archive" else "drop"
        stay = [*([f"rows of {', '.join(held)}, held"] if held else []), *filter(None, [month.rule.unless])]
        unless = f"; except {' and '.join(stay)}" if stay else ""
        print(f"{month.table.name} {month.month}: {sizes.get(month.partition, 'detached')}: {then}{unless}")
    print(f"{len(found)} months are due; a run removes at most {settings.retention.months_per_run} of each table")


async def _run(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Remove what is due, the oldest months first. Run it every day; one that was cut off is gone on with."""
    configure_telemetry(settings)
    with bind(Context(actor="retention")):  # what the audit log says about its own months
        failed = await _remove_all(settings)
    if failed:
        raise CommandFailed(f"not all that is due was removed of {', '.join(failed)}; see the log, and run it again")


async def _remove_all(settings: Settings) -> list[str]:
    """Return the tables of which something is left that is due."""
    async with _owner(settings) as engine, _alone(engine):
        remover = Remover(engine, _store(settings), settings.partitions)
        async with engine.connect() as connection:
            found = await due(connection, SystemClock())
        failed = []
        for table in rules():
            months = [month for month in found if month.table.name == table]
            if await _is_removed(remover, months, settings.retention.months_per_run):
                async with engine.begin() as connection:
                    await retention.completed(connection, table)
            else:
                failed.append(table)
    return failed


async def _is_removed(remover: Remover, months: Sequence[Due], most: int) -> bool:
    """Remove months of one table; tell whether none is left that could go."""
    dropped, done = 0, True
    for month in months:
        if dropped == most:
            _log.warning("retention.months_left", table=month.table.name, after=most)
            return False
        try:
            outcome = await remover.remove(month)
        except (CannotRemove, Unavailable, archive.ArchiveDamaged) as exc:
            _log.error("retention.failed", table=month.table.name, partition=month.partition, reason=str(exc))
            return False
        dropped += outcome is Outcome.DROPPED
        done = done and outcome is not Outcome.PUT_BACK
    return done


async def _hold(settings: Settings, arguments: argparse.Namespace) -> None:
    """Let no row of a tenant be removed, until the hold is released."""
    async with _owner(settings) as engine, engine.begin() as connection:
        number = await retention.place(connection, arguments.tenant, arguments.reason)
    print(f"hold {number}: rows of {arguments.tenant} stay")


async def _release(settings: Settings, arguments: argparse.Namespace) -> None:
    """End a hold; the next run removes what is due by then, unless another one holds it."""
    async with _owner(settings) as engine, engine.begin() as connection:
        await retention.release(connection, arguments.hold)
    print(f"hold {arguments.hold} is released")


async def _holds(settings: Settings, arguments: argparse.Namespace) -> None:
    """List the holds in force."""
    async with _owner(settings) as engine, engine.connect() as connection:
        for hold in await retention.holds(connection, released=arguments.all):
            until = f", released {hold.released_at:%Y-%m-%d} by {hold.released_by}" if hold.released_at else ""
            print(f"{hold.id} {hold.tenant}: {hold.reason} ({hold.placed_at:%Y-%m-%d} by {hold.placed_by}{until})")


async def _archives(settings: Settings, arguments: argparse.Namespace) -> None:
    """List archives; only their manifests are read."""
    with _plainly():
        for name, manifest in (await archive.archives(_needed(settings), arguments.prefix)).items():
            print(f"{name}: {_about(manifest) if isinstance(manifest, archive.Manifest) else manifest}")


async def _verify(settings: Settings, arguments: argparse.Namespace) -> None:
    """Read all of an archive, and tell whether it is what was written."""
    with _plainly():
        manifest = await archive.verify(_needed(settings), arguments.archive)
    print(f"{arguments.archive} is what was written: {_about(manifest)}")


async def _restore(settings: Settings, arguments: argparse.Namespace) -> None:
    """Put the rows of an archive into a table, from where the owner can read them; all of them or none."""
    store, into = _needed(settings), arguments.into
    async with _owner(settings) as engine, engine.connect() as connection:
        made = await _make_table(connection, like=arguments.archive.partition("/")[0], name=into)
        try:
            manifest = await archive.restore(connection, store, arguments.archive, into)
        except BaseException:
            if made:
                async with connection.begin():
                    await connection.execute(text(f"DROP TABLE {into}"))
            raise
    print(f"{into} has the rows of {arguments.archive}: {_about(manifest)}")


async def _make_table(connection: AsyncConnection, *, like: str, name: str) -> bool:
    """Make an empty table with another one's columns; False if there is one of that name, which may be meant."""
    async with connection.begin():
        if await connection.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}):
            return False
        if not _NAME.fullmatch(like) or like not in rules():
            raise CommandFailed(f"there is no table {name}, and {like!r}, like which to make it, has no rule")
        await connection.execute(text(f"CREATE TABLE {name} (LIKE {like})"))
    return True


def _about(manifest: archive.Manifest) -> str:
    return f"{manifest.rows} rows of {manifest.relation}, read at {manifest.read_at}"


def _needed(settings: Settings) -> Store:
    if store := _store(settings):
        return store
    raise CommandFailed("there is no storage: APP_RETENTION__ARCHIVE_URL is not set")


def _store(settings: Settings) -> Store | None:
    told = settings.retention
    if told.archive_url is None:
        return None
    return object_storage.open_store(
        told.archive_url, SystemClock(), retention_days=told.archive_days, s3_endpoint_url=told.s3_endpoint_url
    )


@asynccontextmanager
async def _owner(settings: Settings) -> AsyncIterator[AsyncEngine]:
    async with owner_engine(settings, "retention", connections=2) as engine:
        with _plainly():
            yield engine


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn what an operator can do something about into one line."""
    try:
        yield
    except (
        *(CannotRemove, Unavailable, retention.BadRules, retention.NoSuchHold),
        *(archive.ArchiveDamaged, archive.ColumnsDiffer, archive.RowsDiffer, archive.ExtraMissing, ValueError),
    ) as exc:
        raise CommandFailed(str(exc)) from exc


@asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[None]:
    """Be the only run, for as long as a connection lives.

    Raises:
        CommandFailed: another one is at work.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        if not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}):
            raise CommandFailed("another run is at work")
        try:
            yield
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
