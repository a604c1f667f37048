"""What the tests of the audit log have in common: entries, the tables as they are, and a storage in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from app.kit.context import Context, bind
from app.kit.db import DatabaseSettings, create_engine, transaction
from app.patterns.audit_log import Damage, Exporter, Sealer, Store, record, verify_database, verify_export
from app.patterns.audit_log.checkpoints import Signer
from app.patterns.audit_log.settings import AuditLogSettings

SETTINGS = AuditLogSettings()


async def write(session: AsyncSession, number: int, tenant: str = "acme") -> None:
    """Record one entry in the session's transaction."""
    await record(
        session,
        tenant=tenant,
        action="order.placed",
        resource_type="order",
        resource_id=str(number),
        before={"state": "pending"},
        after={"state": "placed"},
    )


async def given_entries(engine: AsyncEngine, *numbers: int, tenant: str = "acme") -> None:
    """Commit an entry for each number, each in a transaction of its own."""
    with bind(Context(request_id="r-1", tenant=tenant, actor="ann")):
        for number in numbers:
            async with transaction(engine) as session:
                await write(session, number, tenant)


async def given_segments(engine: AsyncEngine, sealer: Sealer, *sizes: int, tenant: str = "acme") -> None:
    """Commit and seal a segment of each size; what they are about is numbered from 1."""
    first = 1
    for size in sizes:
        await given_entries(engine, *range(first, first + size), tenant=tenant)
        await seal_all(sealer)
        first += size


async def seal_all(sealer: Sealer) -> int:
    """Make passes until what is committed now is sealed."""
    sealed = await sealer.seal_once()  # looks how far it may go next time
    while more := await sealer.seal_once():
        sealed += more
    return sealed


async def sealed(engine: AsyncEngine) -> Sequence[tuple[str, int, int]]:
    """Return tenant, number and size of each segment."""
    query = text("SELECT tenant_id, number, length(leaves) / 32 FROM audit_seal ORDER BY tenant_id, number")
    async with engine.connect() as connection:
        return [(row[0], row[1], row[2]) for row in await connection.execute(query)]


async def tamper(engine: AsyncEngine, *statements: str) -> None:
    """Do what only a superuser can: switch the triggers off, change what was sealed, and switch them on again."""
    async with engine.begin() as connection:
        for table in ("audit_log", "audit_seal", "audit_export"):
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        for statement in statements:
            done = await connection.execute(text(statement))
            assert done.rowcount
        for table in ("audit_log", "audit_seal", "audit_export"):
            await connection.execute(text(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_refuse_change"))


@asynccontextmanager
async def acting_as(role: str, url: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine that may do what `role` may."""
    engine = create_engine(DatabaseSettings.model_validate({"url": url}), application_name="test", role=role)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def looking(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection as the verifier has it."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")


async def damage_in_database(engine: AsyncEngine, tenant: str = "acme") -> Damage | None:
    """Verify the database of one tenant."""
    async with looking(engine) as connection:
        return await verify_database(connection, tenant)


async def damage_in_export(
    store: Store, engine: AsyncEngine | None = None, tenant: str = "acme", settings: AuditLogSettings = SETTINGS
) -> Damage | None:
    """Verify the export of one tenant, alone or with the database."""
    if engine is None:
        return await verify_export(store, Signer(settings), tenant)
    async with looking(engine) as connection:
        return await verify_export(store, Signer(settings), tenant, connection)


def exporter(engine: AsyncEngine, store: Store, settings: AuditLogSettings = SETTINGS) -> Exporter:
    """Return an exporter that signs nothing, unless told so."""
    return Exporter(engine, store, settings)


class MemoryStore:
    """A write-once storage that tests can break and tamper with."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts_left: int | None = None
        """How many more objects it takes before it goes away; None for ever."""

    async def put(self, name: str, body: bytes) -> bool:
        if self.puts_left is not None:
            if self.puts_left == 0:
                raise ConnectionError("switched off by the test")
            self.puts_left -= 1
        if name in self.objects:
            return False
        self.objects[name] = body
        return True

    async def get(self, name: str) -> bytes | None:
        return self.objects.get(name)

    async def names(self, prefix: str) -> Sequence[str]:
        return sorted(name for name in self.objects if name.startswith(prefix))
