"""kit/object_storage: what is written stays as it is, in a folder and in S3 with Object Lock.

Not shown here, as moto does not enforce it and AWS does: that nobody shortens a retention in COMPLIANCE mode.
"""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from app.kit.clock import ManualClock, SystemClock
from app.kit.object_storage import FolderStore, StorageUnavailable, open_store
from tests.support.s3 import RETENTION_DAYS, Bucket


async def test_a_file_is_written_once(tmp_path: Path) -> None:
    """The folder for development keeps what is there, whole, and lists it."""
    store = open_store(f"file://{tmp_path}/a%20folder", ManualClock(), retention_days=1)
    assert isinstance(store, FolderStore)

    assert await store.put("acme/1", b"first")
    assert not await store.put("acme/1", b"second")

    assert (tmp_path / "a folder" / "acme" / "1").read_bytes() == b"first"
    assert (await store.get("acme/1"), await store.get("acme/2")) == (b"first", None)
    assert (await store.names("acme/"), await store.names("globex/")) == (["acme/1"], [])


async def test_of_many_at_once_one_writes_a_file(tmp_path: Path) -> None:
    """The others are told so; what somebody left who was killed half way is neither in the way nor listed."""
    store = FolderStore(tmp_path)
    (tmp_path / ".draft-0").write_bytes(b"fir")

    done = await asyncio.gather(*(store.put("1", b"%d" % number) for number in range(20)))

    assert sorted(done) == [False] * 19 + [True]
    assert await store.get("1") == b"%d" % done.index(True)
    assert await store.names("") == ["1"]


async def test_a_folder_that_is_none_is_unavailable(tmp_path: Path) -> None:
    """Nobody takes a disk that refuses for a storage that is empty, or for a mistake of the database."""
    (tmp_path / "export").write_text("")
    store = FolderStore(tmp_path / "export")

    with pytest.raises(StorageUnavailable, match="directory"):
        await store.put("acme/1", b"first")
    with pytest.raises(StorageUnavailable, match="directory"):
        await store.get("acme/1")
    with pytest.raises(StorageUnavailable, match="directory"):
        await store.names("acme/")


async def test_an_object_is_written_once(bucket: Bucket) -> None:
    """The second one of a name is refused by the server, and the first one stays."""
    with bucket.store() as store:
        assert await store.put("acme/1", b"first")
        assert not await store.put("acme/1", b"second")

        assert (await store.get("acme/1"), await store.get("acme/2")) == (b"first", None)
        assert (await store.names("acme/"), await store.names("globex/")) == (["acme/1"], [])


async def test_an_object_is_locked_for_its_retention(bucket: Bucket) -> None:
    """In COMPLIANCE mode, counted from the moment of its writing."""
    with bucket.store() as store:
        await store.put("acme/1", b"first")

    head = bucket.client.head_object(Bucket=bucket.name, Key="logs/acme/1")
    until = ManualClock().now() + timedelta(days=RETENTION_DAYS)
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", until)


async def test_a_locked_version_cannot_be_deleted(bucket: Bucket) -> None:
    """Not even by the owner of the account, nor past the governance mode; without a version, it is only hidden."""
    with bucket.store(SystemClock()) as store:
        await store.put("acme/1", b"first")
        (version,) = bucket.client.list_object_versions(Bucket=bucket.name)["Versions"]
        which = {"Bucket": bucket.name, "Key": version["Key"], "VersionId": version["VersionId"]}

        with pytest.raises(ClientError, match="AccessDenied"):
            bucket.client.delete_object(**which, BypassGovernanceRetention=True)
        bucket.client.delete_object(Bucket=bucket.name, Key=version["Key"])

        assert await store.get("acme/1") is None
        assert bucket.client.get_object(**which)["Body"].read() == b"first"


async def test_a_storage_that_refuses_is_unavailable(bucket: Bucket) -> None:
    """Whatever S3 says but `is there already` and `is not there` is for the operator."""
    bucket.client.delete_bucket(Bucket=bucket.name)

    with bucket.store() as store:
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            await store.put("acme/1", b"first")
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            await store.get("acme/1")
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            await store.names("acme/")
