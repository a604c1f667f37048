"""One server process of the benchmark: `serve.py ROW PORT COLLECTOR_URL`.

It writes its own CPU seconds (user and system) to standard error whenever it receives SIGUSR1.
"""

import asyncio
import os
import signal
import sys
import time

import uvicorn
import uvloop
from stacks import STACKS


async def main(row: str, port: int, collector: str) -> None:
    """Serve until SIGTERM."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the load generator has the other cores
    app = STACKS[row](collector)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: os.write(2, f"{time.process_time()}\n".encode()))
    config = uvicorn.Config(app, port=port, http="httptools", log_config=None, access_log=False)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
