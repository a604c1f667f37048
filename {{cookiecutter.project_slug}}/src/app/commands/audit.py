"""`app audit verify|export|show`: what an auditor asks for."""

import argparse
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.commands import CommandFailed
from app.kit.clock import SystemClock
from app.kit.db import is_unavailable
from app.kit.errors import Unavailable
from app.patterns import tracing
from app.patterns.audit_log import (
    Damage,
    Exporter,
    Signer,
    archive,
    open_store,
    reading,
    verify_database,
    verify_export,
)
from app.resources import configure_telemetry, open_jobs_engine
from app.settings import Settings


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the group to the `app` command."""
    about = "Verify, export and read the audit log."
    group = commands.add_parser("audit", help=about, description=about).add_subparsers(required=True, metavar="command")
    verify = group.add_parser("verify", help=_verify.__doc__, description=_verify.__doc__)
    verify.add_argument("--tenant", help="only this one")
    where = verify.add_mutually_exclusive_group()
    where.add_argument("--database-only", action="store_true", help="do not look at the export")
    where.add_argument("--export-only", action="store_true", help="do not look at the database")
    verify.set_defaults(command=_verify)
    export = group.add_parser("export", help=_export.__doc__, description=_export.__doc__)
    export.set_defaults(command=_export)
    show = group.add_parser("show", help=_show.__doc__, description=_show.__doc__)
    show.add_argument("tenant")
    show.add_argument("resource", nargs="?", metavar="TYPE/ID", help="only entries of this one, such as order/0198...")
    show.add_argument("--limit", type=int, default=20, help="most entries")
    show.add_argument("--proof", action="store_true", help="as JSON, with the proof that each entry is sealed")
    show.set_defaults(command=_show)


async def _verify(settings: Settings, arguments: argparse.Namespace) -> None:
    """Walk the log and name the first position where something is wrong; exit status 1 if there is one."""
    with _said_plainly():
        found, exported = await _damages(settings, arguments)
    for damage in found:
        print(damage)
    if found:
        raise CommandFailed(f"the audit log is not what was sealed, first in the {found[0]}")
    print("the audit log is what was sealed" + ("" if exported else "; there is no export to compare it with"))


async def _damages(settings: Settings, arguments: argparse.Namespace) -> tuple[Sequence[Damage], bool]:
    """Return the first damage of each tenant in each place, and whether there is an export to look at."""
    store = None if arguments.database_only else open_store(settings.audit_log, SystemClock())
    if store is None and arguments.export_only:
        raise CommandFailed("there is no export: APP_AUDIT_LOG__EXPORT_URL is not set")
    signer = Signer(settings.audit_log)
    named = {archive.tenant_of(name) for name in await store.names("")} if store else set()
    found: list[Damage | None] = []
    async with AsyncExitStack() as stack:
        connection = None if arguments.export_only else await stack.enter_async_context(_database(settings))
        known = await reading.tenants(connection) if connection else []
        for tenant in [arguments.tenant] if arguments.tenant else sorted(named.union(known)):
            if connection:
                found.append(await verify_database(connection, tenant))
            if store:
                found.append(await verify_export(store, signer, tenant, connection))
    return [damage for damage in found if damage], store is not None


async def _export(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Export now what is sealed, without waiting for the worker."""
    store = open_store(settings.audit_log, SystemClock())
    if store is None:
        raise CommandFailed("there is nowhere to export to: APP_AUDIT_LOG__EXPORT_URL is not set")
    async with _jobs_engine(settings) as engine:
        exported = await Exporter(engine, store, settings.audit_log).export_once()
    print(f"{exported} segments exported")


async def _show(settings: Settings, arguments: argparse.Namespace) -> None:
    """Print entries of a tenant, or of one resource, the newest first; each is a line of JSON."""
    type_, _, id_ = (arguments.resource or "").partition("/")
    resource = (type_, id_) if arguments.resource else None
    async with _database(settings) as connection:
        for entry in await reading.newest(connection, arguments.tenant, resource=resource, limit=arguments.limit):
            if arguments.proof:
                proof = await reading.proof_of(connection, arguments.tenant, entry)
                print(orjson.dumps({"entry": entry.line.decode(), "proof": proof and _as_json(proof)}).decode())
            else:
                print(entry.line.decode())


def _as_json(proof: reading.Proof) -> dict[str, object]:
    """Return what `merkle.root_from` needs besides the entry, and the seal whose root must come out."""
    path = [node.hex() for node in proof.path]
    seal = {name: value for name, value in proof.seal.to_json().items() if name != "leaves"}
    return {"index": proof.index, "size": len(proof.seal.leaves), "path": path, "seal": seal}


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Turn what an operator can do something about into one line."""
    try:
        yield
    except Unavailable as exc:
        raise CommandFailed(str(exc)) from exc
    except (DBAPIError, OSError) as exc:
        if not is_unavailable(exc) and isinstance(exc, DBAPIError):
            raise CommandFailed(f"PostgreSQL refuses: {str(exc.orig).partition(chr(10))[0]}") from exc
        raise CommandFailed("PostgreSQL cannot be reached; is it running?") from exc


@asynccontextmanager
async def _jobs_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Open the engine that sees all tenants; of the log only what went wrong, as the output is somebody's to read."""
    quiet = settings.logging.model_copy(update={"level": "warning"})
    provider = configure_telemetry(settings.model_copy(update={"logging": quiet}))
    try:
        with _said_plainly():
            async with open_jobs_engine(settings, provider) as engine:
                yield engine
    finally:
        tracing.shut_down(provider)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """Open a connection on which each statement is a transaction: storage may be slow, and nothing waits for it."""
    async with _jobs_engine(settings) as engine, engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")
