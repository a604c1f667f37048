"""The port to write-once object storage."""

from collections.abc import Sequence
from typing import Protocol

from app.kit.errors import Unavailable


class StorageUnavailable(Unavailable):
    """The write-once storage cannot be reached, or refused."""

    code = "storage_unavailable"


class Store(Protocol):
    """What keeps objects and never lets them be changed. Names are paths with `/`."""

    async def put(self, name: str, body: bytes) -> bool:
        """Write an object; False if there is one of that name, which stays as it is.

        Raises:
            StorageUnavailable: nobody knows whether it was written.
        """
        ...

    async def get(self, name: str) -> bytes | None:
        """Return an object's bytes; None if there is none of that name."""
        ...

    async def names(self, prefix: str) -> Sequence[str]:
        """Return the names that begin with `prefix`, in order."""
        ...
