"""`app migrate`: look at what a migration would do, do it, take it back, and check what is there."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands import CommandFailed, owner_engine
from app.commands.partitions import make_ahead
from app.patterns import migrations
from app.resources import configure_telemetry
from app.settings import Settings

_log = structlog.get_logger(__name__)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `app migrate` and its commands; without one it is `app migrate up`."""
    group = commands.add_parser("migrate", help="Bring the database schema to a revision, or look at it.")
    group.set_defaults(command=_up, revision=None)
    parsers = group.add_subparsers(metavar="command")
    plan = parsers.add_parser("plan", help="Print the SQL that `up` would run, and what the linter says.")
    plan.set_defaults(command=_plan)
    up = parsers.add_parser("up", help="Bring the schema to a revision, by default to the newest.")
    up.add_argument("revision", nargs="?")
    up.set_defaults(command=_up)
    down = parsers.add_parser("down", help="Take back every migration after a revision; `base` is before the first.")
    down.add_argument("revision")
    down.add_argument("--yes", action="store_true", help="lose what is lost, in production too")
    down.set_defaults(command=_down)
    check = parsers.add_parser(
        "check", help="Fail if the schema is behind, differs from the models, or lint finds something."
    )
    check.set_defaults(command=_check)


async def _plan(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Print SQL: what the linter says are comments in it."""
    known = migrations.revisions(settings.migrations)
    async with _owner(settings) as engine:
        version = await migrations.schema_version(engine, known)
    steps = migrations.steps_up(settings.migrations, version)
    print(f"-- The schema is at {version.current or migrations.BASE}; {len(steps)} pending.")
    if steps:
        print(f"-- One runner at a time; a table that is busy is tried {settings.migrations.attempts} times.")
        print(migrations.timeouts(settings.migrations))
    for step in steps:
        print(f"\n{step.sql}")
    try:
        for finding in await asyncio.to_thread(migrations.lint, steps, settings.migrations):
            print(f"-- lint: {finding}")
    except migrations.LinterMissing as exc:
        print(f"-- lint: left out, {exc}")


async def _up(settings: Settings, arguments: argparse.Namespace) -> None:
    """Bring the database schema to a revision, and make the months ahead."""
    configure_telemetry(settings)
    target = arguments.revision or migrations.revisions(settings.migrations)[0]
    async with _owner(settings) as engine:
        before = await migrations.upgrade(engine, settings.migrations, target)
        await make_ahead(engine, settings)
    if before.has_reached(target):
        _log.info("migrations.up_to_date", revision=before.current)
        _tell(f"schema is at {before.current}, nothing to do")
    else:
        _finished(target, before)


async def _down(settings: Settings, arguments: argparse.Namespace) -> None:
    """Take migrations back."""
    configure_telemetry(settings)
    known = migrations.revisions(settings.migrations)
    async with _owner(settings) as engine:
        version = await migrations.schema_version(engine, known)
        migrations.require_below(version, arguments.revision)
        steps = migrations.steps_down(settings.migrations, version, arguments.revision)
        lost = [loss for step in steps for loss in migrations.losses(step.sql)]
        for loss in lost:
            _log.warning("migrations.loss_ahead", loss=loss)
            _tell(f"this loses {loss}")
        if settings.env == "production" and not arguments.yes:
            raise CommandFailed(f"this loses {', '.join(lost) or 'nothing'}; in production add --yes if that is meant")
        before = await migrations.downgrade(engine, settings.migrations, arguments.revision)
    _finished(arguments.revision, before)


async def _check(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Compare database, models and migrations."""
    known = migrations.revisions(settings.migrations)
    async with _owner(settings) as engine:
        version = await migrations.schema_version(engine, known)
        wrong = []
        if not version.up_to_date:
            wrong.append(f"the schema is at {version.current or migrations.BASE}, the code needs {version.head}")
        elif version.current == version.head:
            async with engine.connect() as connection:
                found = await connection.run_sync(migrations.differences, settings.migrations)
            wrong += [f"models and tables differ: {difference}" for difference in found]
    steps = migrations.all_steps(settings.migrations)
    try:
        wrong += map(str, await asyncio.to_thread(migrations.lint, steps, settings.migrations))
    except migrations.LinterMissing as exc:  # the image has none; `make lint` has run before it was built
        print(f"lint: left out, {exc}")
    if wrong:
        raise CommandFailed("\n".join(wrong))
    print(f"schema is at {version.current}, nothing to complain about")


@asynccontextmanager
async def _owner(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Yield an engine of the tables' owner, and say in one line what goes wrong with it."""
    try:
        async with owner_engine(settings, "migrate", failed="a migration failed and was rolled back") as engine:
            yield engine
    except (migrations.WrongTarget, migrations.RunnerBusy) as exc:
        raise CommandFailed(str(exc)) from exc


def _finished(target: str, before: migrations.SchemaVersion) -> None:
    _log.info("migrations.finished", revision=target, previous=before.current)
    _tell(f"schema is at {target} (was at {before.current})")


def _tell(sentence: str) -> None:
    """Say it to a person at a terminal; the log has it anyway."""
    if sys.stdout.isatty():
        print(sentence)
