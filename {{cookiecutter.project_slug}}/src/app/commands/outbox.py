"""`app outbox`: look at all tenants' events that wait or are parked, and decide what becomes of the parked ones."""

import argparse
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row
from sqlalchemy.exc import DBAPIError

from app.commands import CommandFailed
from app.kit.context import Context, bind
from app.kit.db import DatabaseUnavailable, create_engine
from app.patterns import structured_logging, tenancy
from app.patterns.outbox import parked
from app.settings import Settings

_ORDER = "Later events of its aggregate may be out already: consumers get it after them."
_HEADINGS = ("event", "age", "type", "tenant", "aggregate", "attempts", "reason")
_WIDEST = 60
_MOST_IDS_TOLD = 50  # in a line of the log
_log = structlog.get_logger(__name__)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the group and its commands."""
    group = commands.add_parser("outbox", help="See the events that wait or are parked; replay or drop parked ones.")
    actions = group.add_subparsers(required=True, metavar="action")

    action = _action(actions, "list", _list, "List parked events, the oldest first.")
    action.add_argument("--waiting", action="store_true", help="those that are not yet published, in place of parked")
    action.add_argument("--limit", type=int, default=50, help="most lines (default: %(default)s)")
    action.add_argument("--json", action="store_true", help="as JSON")

    action = _action(actions, "show", _show, "Print one event, parked or waiting, as JSON with its envelope.")
    action.add_argument("event_id", type=UUID)

    action = _action(actions, "replay", _replay, f"Put parked events back, as if never tried. {_ORDER}")
    which = action.add_mutually_exclusive_group(required=True)
    which.add_argument("event_id", type=UUID, nargs="*", default=[])
    which.add_argument("--all", action="store_true", help="every parked event, in the order of their writing")

    action = _action(actions, "drop", _drop, "Delete a parked event: it will never be published.")
    action.add_argument("event_id", type=UUID)
    action.add_argument("--yes", action="store_true", required=True, help="there is no way back")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Any,  # noqa: ANN401 - a coroutine function of settings and arguments
    about: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=about, description=about)
    parser.set_defaults(command=command)
    return parser


async def _list(settings: Settings, arguments: argparse.Namespace) -> None:
    async with _outbox(settings, "list") as crossing:
        look = parked.waiting if arguments.waiting else parked.parked
        rows = await look(crossing.session, most=arguments.limit + 1)
        crossing.rows = min(len(rows), arguments.limit)
    shown = rows[: arguments.limit]
    if arguments.json:
        _print(json.dumps([row._asdict() for row in shown], default=str, indent=2))
        return
    _print(_table([_cells(row) for row in shown]))
    if len(rows) > len(shown):
        _print(f"There are more: --limit {2 * arguments.limit}")


async def _show(settings: Settings, arguments: argparse.Namespace) -> None:
    async with _outbox(settings, "show") as crossing:
        rows = await parked.find(crossing.session, arguments.event_id)
        crossing.rows = len(rows)
    if not rows:
        raise CommandFailed(
            f"no event {arguments.event_id} is parked or waits: it was published, dropped, or never was."
        )
    for row in rows:
        _print(json.dumps(row._asdict(), default=str, indent=2))


async def _replay(settings: Settings, arguments: argparse.Namespace) -> None:
    chosen: list[UUID] | None = arguments.event_id or None
    total, newest = 0, None
    while True:
        async with _outbox(settings, "replay") as crossing:
            newest = newest if newest is not None else await parked.newest(crossing.session)
            replayed = await parked.replay(crossing.session, chosen, newest=newest)
            if missing := set(chosen or ()) - set(replayed):
                raise CommandFailed(f"nothing was replayed, for these are not parked: {_listed(missing)}")
            crossing.rows = len(replayed)
        total += len(replayed)
        if replayed:
            ids = [str(event_id) for event_id in replayed[:_MOST_IDS_TOLD]]
            _log.info("audit.outbox_events_replayed", events=len(replayed), event_ids=ids)
        if chosen or len(replayed) < parked.REPLAY_BATCH:
            break
    _print(f"{total} back in the outbox. {_ORDER}" if total else "Nothing is parked.")


async def _drop(settings: Settings, arguments: argparse.Namespace) -> None:
    async with _outbox(settings, "drop") as crossing:
        rows = await parked.drop(crossing.session, arguments.event_id)
        crossing.rows = len(rows)
    if not rows:
        raise CommandFailed(f"no event {arguments.event_id} is parked.")
    for row in rows:
        with bind(Context(tenant=row.tenant_id)):
            _log.warning(
                "audit.outbox_event_dropped",
                event_id=str(row.event_id),
                event_type=row.type,
                aggregate=row.aggregate,
                attempts=row.attempts,
                reason=row.reason,
            )
    _print(f"{arguments.event_id} is dropped.")


@asynccontextmanager
async def _outbox(settings: Settings, action: str) -> AsyncIterator[tenancy.Crossing]:
    """Open a transaction across tenants, which the log tells of on standard error: the other output is the answer's."""
    service, env, version = settings.service, settings.env, settings.version
    structured_logging.configure(settings.logging, service=service, env=env, version=version, stream=sys.stderr.buffer)
    variable = "APP_DATABASE__JOBS_URL" if settings.database.jobs_url else "APP_DATABASE__URL"
    database = settings.database.model_copy(update={"url": settings.database.jobs_url or settings.database.url})
    engine = create_engine(database, application_name=f"{service}-outbox", role=tenancy.JOBS_ROLE)
    try:
        async with tenancy.across_tenants(engine, job=f"outbox {action}") as crossing:
            yield crossing
    except DatabaseUnavailable as exc:
        raise CommandFailed(f"PostgreSQL cannot be reached at {variable}; is it running?") from exc
    except DBAPIError as exc:
        raise CommandFailed(f"PostgreSQL refuses ({variable}): {str(exc.orig).partition(chr(10))[0]}") from exc
    finally:
        await engine.dispose()


def _cells(row: Row[Any]) -> tuple[str, ...]:
    age = f"{row.age_seconds:.0f} s"
    return str(row.event_id), age, row.type, row.tenant_id, row.aggregate, str(row.attempts), row.reason or "-"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [_HEADINGS, *rows]
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _listed(event_ids: set[UUID]) -> str:
    return ", ".join(sorted(map(str, event_ids)))


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
