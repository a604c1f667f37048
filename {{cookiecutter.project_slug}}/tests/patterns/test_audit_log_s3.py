"""patterns/audit_log: S3 with Object Lock, as moto's server speaks it, over a real socket.

Not shown here, as moto does not enforce it and AWS does: that nobody shortens a retention in COMPLIANCE mode.
"""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock, SystemClock
from app.patterns.audit_log import AuditLogSettings, StorageUnavailable, Store, open_store
from dev.nats import free_port
from dev.process import Process
from tests.support.audit import damage_in_export, exporter, given_segments, sealer_of

Client: TypeAlias = Any  # boto3 makes its clients' methods at run time
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Yield the address of an S3 server."""
    port = free_port()
    process = Process("moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], cwd=Path("/"))
    process.start()
    assert process.wait_for_line("Running on", timeout_seconds=60), process.last_lines
    yield f"http://127.0.0.1:{port}"
    process.stop()


@pytest.fixture
def settings(server: str, monkeypatch: pytest.MonkeyPatch) -> AuditLogSettings:
    """Return settings with a bucket of this test's own, below a prefix."""
    for name, value in {**CREDENTIALS, "AWS_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    return AuditLogSettings(export_url=f"s3://audit-{uuid4().hex}/logs", s3_endpoint_url=server, retention_days=30)


@pytest.fixture
def bucket(settings: AuditLogSettings) -> str:
    """Return the name of the bucket."""
    assert settings.export_url
    return settings.export_url.split("/")[2]


@pytest.fixture
def s3(settings: AuditLogSettings, bucket: str) -> Iterator[Any]:
    """Yield a client with every right on the bucket, which has Object Lock."""
    client: Client = boto3.client("s3", endpoint_url=settings.s3_endpoint_url)
    place = {"LocationConstraint": CREDENTIALS["AWS_DEFAULT_REGION"]}
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=place)
    yield client
    client.close()


@pytest.fixture
def store(s3: Client, settings: AuditLogSettings) -> Iterator[Store]:  # noqa: ARG001 - the bucket must be there
    opened: Any = open_store(settings, ManualClock())
    yield opened
    opened._client.close()


async def test_what_is_exported_is_locked(
    engine: AsyncEngine, store: Store, s3: Client, bucket: str, settings: AuditLogSettings
) -> None:
    """Segments and checkpoint are found again, each locked in COMPLIANCE mode for as long as the settings say."""
    async with sealer_of(engine) as sealer:
        await given_segments(engine, sealer, 2, 1)

    assert await exporter(engine, store, settings).export_once() == 2

    names = await store.names("acme/")
    heads = [s3.head_object(Bucket=bucket, Key=f"logs/{name}") for name in names]
    assert names == ["acme/000000000001.checkpoint.json", "acme/000000000001.ndjson"]
    assert {head["ObjectLockMode"] for head in heads} == {"COMPLIANCE"}
    assert {head["ObjectLockRetainUntilDate"] for head in heads} == {ManualClock().now() + timedelta(days=30)}
    assert await damage_in_export(store, engine) is None


async def test_what_is_there_is_not_overwritten(store: Store) -> None:
    """The second one of a name is refused by the server, and the first one stays."""
    assert await store.put("acme/1", b"first")
    assert not await store.put("acme/1", b"second")

    assert (await store.get("acme/1"), await store.get("acme/2")) == (b"first", None)


async def test_a_locked_version_cannot_be_deleted(
    store: Store, s3: Client, bucket: str, settings: AuditLogSettings
) -> None:
    """Not even by the owner of the account, nor past the governance mode; without a version, it is only hidden."""
    locking: Any = open_store(settings, SystemClock())
    await locking.put("acme/1", b"first")
    (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    which = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(**which, BypassGovernanceRetention=True)
    s3.delete_object(Bucket=bucket, Key=version["Key"])

    assert await store.get("acme/1") is None
    assert s3.get_object(**which)["Body"].read() == b"first"
    locking._client.close()


async def test_a_storage_that_refuses_is_unavailable(store: Store, s3: Client, bucket: str) -> None:
    """Whatever S3 says but `is there already` and `is not there` is for the operator."""
    s3.delete_bucket(Bucket=bucket)

    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await store.put("acme/1", b"first")
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await store.get("acme/1")
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await store.names("acme/")
