"""S3 with Object Lock, as moto's server speaks it, over a real socket.

What moto does not enforce and AWS does: that nobody shortens a retention in COMPLIANCE mode.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import boto3

from app.kit.clock import Clock, ManualClock
from app.kit.object_storage import Store, open_store
from dev.ports import free_port
from dev.process import Process

REGION = "eu-central-1"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": "/dev/null",
}
RETENTION_DAYS = 30
Client: TypeAlias = Any  # boto3 makes its clients' methods at run time


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket with Object Lock, and a client with every right on it."""

    name: str
    endpoint_url: str
    client: Client

    @property
    def url(self) -> str:
        """Return a place in the bucket, below a prefix."""
        return f"s3://{self.name}/logs"

    @contextmanager
    def store(self, clock: Clock | None = None) -> Iterator[Store]:
        """Yield the place as a storage, at the time of a clock that stands still or of another."""
        opened: Any = open_store(
            self.url, clock or ManualClock(), retention_days=RETENTION_DAYS, s3_endpoint_url=self.endpoint_url
        )
        with closing(opened._client):
            yield opened


@contextmanager
def running_s3() -> Iterator[str]:
    """Yield the address of an S3 server."""
    port = free_port()
    process = Process("moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], cwd=Path("/"))
    process.start()
    try:
        assert process.wait_for_line("Running on", timeout_seconds=60), process.last_lines
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


@contextmanager
def new_bucket(endpoint_url: str) -> Iterator[Bucket]:
    """Yield a bucket that nobody else uses; `VARIABLES` must be in the environment."""
    name = f"test-{uuid4().hex}"
    with closing(boto3.client("s3", endpoint_url=endpoint_url)) as client:
        place: Any = {"LocationConstraint": REGION}
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=place)
        yield Bucket(name, endpoint_url, client)
