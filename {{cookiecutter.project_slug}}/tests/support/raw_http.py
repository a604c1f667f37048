"""HTTP by hand: bytes to a socket and bytes back, for requests that no decent client would send."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The first response on the connection."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return the one value of a header, or nothing."""
        return ", ".join(value for key, value in self.headers if key == name)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        document: dict[str, Any] = json.loads(self.body)
        return document


def request(
    method: str = "GET",
    target: str | bytes = "/v1/orders",
    *,
    headers: Sequence[tuple[str, str | bytes]] = (),
    body: bytes = b"",
) -> bytes:
    """Return a request that ends its connection; nothing is escaped, and a length is added unless one is given."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), _bytes(target)), b"host: service", b"connection: close"]
    lines += [b"%b: %b" % (name.encode(), _bytes(value)) for name, value in headers]
    if body and not {"content-length", "transfer-encoding"} & {name for name, _ in headers}:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int = 65_536) -> bytes:
    """Return `body` in the chunked transfer coding."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


async def exchange(port: int, raw: bytes) -> Answer:
    """Send `raw`, as far as the server takes it, and return its answer.

    Raises:
        AssertionError: there was none.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            sending = asyncio.create_task(_send(writer, raw))
            with suppress(ConnectionError):  # refused in the middle of a large body: what was answered still counts
                while data := await reader.read(65_536):
                    received += data
            await sending
    finally:
        writer.close()
    assert received, f"no answer to {raw[:100]!r}"
    return _parsed(received)


async def _send(writer: asyncio.StreamWriter, raw: bytes) -> None:
    with suppress(ConnectionError):
        writer.write(raw)
        await writer.drain()


def _parsed(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Answer(int(status_line.split()[1]), headers, body)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
