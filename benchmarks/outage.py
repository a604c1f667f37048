"""A collector that hangs, beside one that answers: latency, memory and dropped spans of the same service."""

import asyncio
import re
import socket
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from harness import Server, collector, leave_first_core, proportional_set_size

REQUEST = b"GET /v1/things/7 HTTP/1.1\r\nhost: bench\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nhost: bench\r\n\r\n"
REQUESTS_PER_SECOND = 400
ROW = "all, 100 % sampled"


def measured(env: Mapping[str, str], *, seconds: float) -> object:
    """Send the same load to both for `seconds`, print the table and return its figures."""
    print(f"a collector that hangs for {seconds:.0f} s: {REQUESTS_PER_SECOND} requests/s, every one sampled")
    with (
        tempfile.TemporaryDirectory() as folder,
        collector() as answers,
        socket.create_server(("127.0.0.1", 0)) as hangs,
    ):
        never = f"http://127.0.0.1:{hangs.getsockname()[1]}/v1/traces"
        running = {
            name: Server("get_stacks", ROW, endpoint, Path(folder), env)
            for name, endpoint in (("answers", answers), ("hangs", never))
        }
        leave_first_core()
        try:
            for server in running.values():
                server.wait_until_ready()
            return asyncio.run(_compare(running, seconds))
        finally:
            for server in running.values():
                server.stop()


async def _compare(running: Mapping[str, Server], seconds: float) -> dict[str, dict[str, float]]:
    for server in running.values():
        await _paced(server, 2)
    before = {name: proportional_set_size(server.pid) for name, server in running.items()}
    waits = await asyncio.gather(*(_paced(server, seconds) for server in running.values()))
    print(f"{'collector':12} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'memory MB':>17} {'spans dropped':>14}")
    figures = {}
    for (name, server), wait in zip(running.items(), waits, strict=True):
        p50, p99 = statistics.median(wait), statistics.quantiles(wait, n=100)[98]
        after, dropped = proportional_set_size(server.pid), await _dropped(server)
        print(f"{name:12} {p50:8.2f} {p99:8.2f} {max(wait):8.1f} {before[name]:7.1f} -> {after:6.1f} {dropped:14.0f}")
        figures[name] = {"p50_ms": p50, "p99_ms": p99, "mb_before": before[name], "mb_after": after, "dropped": dropped}
    return figures


async def _paced(server: Server, seconds: float) -> list[float]:
    """Send requests at a steady pace, whatever the answers take, and return how many milliseconds each one waited."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    due: list[float] = []
    waits: list[float] = []

    async def answers() -> None:
        while True:
            await _body(reader)
            waits.append((time.perf_counter() - due[len(waits)]) * 1000)

    taking = asyncio.create_task(answers())
    begun = time.perf_counter()
    for number in range(int(seconds * REQUESTS_PER_SECOND)):
        moment = begun + number / REQUESTS_PER_SECOND
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        due.append(time.perf_counter())
        writer.write(REQUEST)
    while len(waits) < len(due) and not taking.done():
        await asyncio.sleep(0.01)
    taking.cancel()
    writer.close()
    return waits


async def _dropped(server: Server) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(METRICS)
    exposed = await _body(reader)
    writer.close()
    return sum(float(value) for value in re.findall(rb"^spans_dropped_total\{.*\} (\S+)", exposed, re.MULTILINE))


async def _body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
    return await reader.readexactly(int(length))
