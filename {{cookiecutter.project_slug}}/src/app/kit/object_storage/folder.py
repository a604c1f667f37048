"""A folder as write-once storage, for development."""

import asyncio
import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .port import StorageUnavailable

_DRAFT = ".draft-"


class FolderStore:
    """Files that are written once. Whoever owns the folder can still delete them: for development only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, body: bytes) -> bool:
        return await asyncio.to_thread(self._put, self._folder / name, body)

    async def get(self, name: str) -> bytes | None:
        return await asyncio.to_thread(self._get, self._folder / name)

    async def names(self, prefix: str) -> Sequence[str]:
        return await asyncio.to_thread(self._names, prefix)

    def _put(self, path: Path, body: bytes) -> bool:
        with _plainly():
            return self._write(path, body)

    def _write(self, path: Path, body: bytes) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{_DRAFT}{uuid4().hex}")  # its own: what another left, or writes now, is not in its way
        draft.write_bytes(body)
        draft.chmod(0o444)
        try:
            path.hardlink_to(draft)  # complete from its first moment on, and refused if there is one
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _get(self, path: Path) -> bytes | None:
        with _plainly():
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def _names(self, prefix: str) -> list[str]:
        with _plainly():
            if self._folder.is_file():  # no folder yet has no names; what is none says nothing about them
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
            files = (path for path in self._folder.rglob("*") if path.is_file() and not path.name.startswith(_DRAFT))
            names = (str(path.relative_to(self._folder)) for path in files)
            return sorted(name for name in names if name.startswith(prefix))


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageUnavailable(f"The folder refuses: {exc.strerror}.") from exc
