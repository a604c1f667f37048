"""patterns/audit_log: segments in S3 with Object Lock."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.patterns.audit_log import AuditLogSettings, open_store
from tests.support.audit import damage_in_export, exporter, given_segments, sealer_of
from tests.support.s3 import Bucket


async def test_what_is_exported_is_locked(engine: AsyncEngine, bucket: Bucket) -> None:
    """Segments and checkpoint are found again, each locked in COMPLIANCE mode for as long as the settings say."""
    settings = AuditLogSettings(export_url=bucket.url, s3_endpoint_url=bucket.endpoint_url, retention_days=20)
    async with sealer_of(engine) as sealer:
        await given_segments(engine, sealer, 2, 1)

    store = open_store(settings, ManualClock())
    assert store
    assert await exporter(engine, store, settings).export_once() == 2

    names = await store.names("acme/")
    heads = [bucket.client.head_object(Bucket=bucket.name, Key=f"logs/{name}") for name in names]
    assert names == ["acme/000000000001.checkpoint.json", "acme/000000000001.ndjson"]
    assert {head["ObjectLockMode"] for head in heads} == {"COMPLIANCE"}
    assert {head["ObjectLockRetainUntilDate"] for head in heads} == {ManualClock().now() + timedelta(days=20)}
    assert await damage_in_export(store, engine) is None
    store._client.close()  # type: ignore[attr-defined]
