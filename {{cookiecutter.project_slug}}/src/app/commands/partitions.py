"""`app partitions`: see the months that large tables consist of, and make the next ones."""

import argparse

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands import CommandFailed, owner_engine
from app.kit.clock import SystemClock
from app.patterns import partitions
from app.resources import configure_telemetry
from app.settings import Settings

_log = structlog.get_logger(__name__)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the group and its commands."""
    group = commands.add_parser("partitions", help="See the months that large tables consist of; make the next ones.")
    actions = group.add_subparsers(required=True, metavar="action")
    about = "List the partitions of each table, with PostgreSQL's estimates of their rows."
    actions.add_parser("list", help=about, description=about).set_defaults(command=_list)
    about = "Make the partitions of this month and the next ones, as `app migrate up` does. Run it every day."
    ahead = actions.add_parser("ahead", help=about, description=about)
    ahead.add_argument(
        "--since", type=_month, metavar="YYYY-MM", help="also the months that are over, from this one on"
    )
    ahead.set_defaults(command=_ahead)


def _month(written: str) -> partitions.Month:
    try:
        return partitions.Month.parse(written)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


async def _list(settings: Settings, _arguments: argparse.Namespace) -> None:
    async with owner_engine(settings, "partitions") as engine, engine.connect() as connection:
        for table in await partitions.tables(connection):
            print(f"{table.name}, by {table.key} ({table.key_type})")
            for partition in await partitions.partitions(connection, table.name):
                print(f"  {partition.name:<28} {partition.rows:>12} rows {partition.bytes / 1e6:>10.1f} MB")


async def _ahead(settings: Settings, arguments: argparse.Namespace) -> None:
    configure_telemetry(settings)
    async with owner_engine(settings, "partitions") as engine:
        await make_ahead(engine, settings, since=arguments.since)


async def make_ahead(owner: AsyncEngine, settings: Settings, *, since: partitions.Month | None = None) -> None:
    """Make what is missing, and say it in the log.

    Raises:
        CommandFailed: a table stayed busy.
    """
    try:
        made = await partitions.make_ahead(owner, settings.partitions, SystemClock(), since=since)
    except (partitions.PartitionBusy, partitions.NotByMonth) as exc:
        raise CommandFailed(str(exc)) from exc
    _log.info("partitions.up_to_date", made=len(made))
