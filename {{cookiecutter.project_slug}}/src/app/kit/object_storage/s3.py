"""S3 with Object Lock behind the port: what is written cannot be replaced, and its versions cannot be deleted.

The bucket must have been made with Object Lock. Credentials and region come from where boto3 looks for them.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.kit.clock import Clock

from .port import StorageUnavailable

_ALREADY_THERE = {"PreconditionFailed", "412"}
_MISSING = {"NoSuchKey", "404"}


class S3Store:
    """Objects of one bucket, below a prefix. boto3 blocks, so each call has a thread."""

    def __init__(self, bucket: str, prefix: str, clock: Clock, retention: timedelta, endpoint_url: str | None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._clock = clock
        self._retention = retention
        timeouts = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
        self._client: Any = boto3.client("s3", endpoint_url=endpoint_url, config=timeouts)

    async def put(self, name: str, body: bytes) -> bool:
        try:
            await asyncio.to_thread(
                self._client.put_object,
                Bucket=self._bucket,
                Key=self._prefix + name,
                Body=body,
                IfNoneMatch="*",  # never a second version of a name
                ChecksumAlgorithm="SHA256",
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=self._clock.now() + self._retention,
            )
        except (ClientError, BotoCoreError) as exc:
            if _code(exc) in _ALREADY_THERE:
                return False
            raise StorageUnavailable(f"S3 did not take {name}: {_code(exc)}") from exc
        return True

    async def get(self, name: str) -> bytes | None:
        try:
            return await asyncio.to_thread(self._read, self._prefix + name)
        except (ClientError, BotoCoreError) as exc:
            if _code(exc) in _MISSING:
                return None
            raise StorageUnavailable(f"S3 did not give {name}: {_code(exc)}") from exc

    async def names(self, prefix: str) -> Sequence[str]:
        try:
            return await asyncio.to_thread(self._list, self._prefix + prefix)
        except (ClientError, BotoCoreError) as exc:
            raise StorageUnavailable(f"S3 did not list {prefix}: {_code(exc)}") from exc

    def _read(self, key: str) -> bytes:
        body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return body

    def _list(self, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        keys = (found["Key"] for page in pages for found in page.get("Contents", []))
        return [key.removeprefix(self._prefix) for key in keys]


def _code(exc: ClientError | BotoCoreError) -> str:
    if isinstance(exc, ClientError):
        return str(exc.response.get("Error", {}).get("Code"))
    return type(exc).__name__
