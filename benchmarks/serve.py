"""One server process of a benchmark: `serve.py STACKS ROW PORT COLLECTOR_URL`.

STACKS is a module here that holds a table of that name: name of a row -> what builds its application, given the
collector's address. It writes its own CPU seconds (user and system) to standard error whenever it receives SIGUSR1.
"""

import asyncio
import gc
import importlib
import os
import signal
import sys
import time

import uvicorn
import uvloop


async def main(stacks: str, row: str, port: int, collector: str) -> None:
    """Serve until SIGTERM."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the load generator has the other cores
    app = importlib.import_module(stacks).STACKS[row](collector)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: os.write(2, f"{time.process_time()}\n".encode()))
    gc.collect()
    gc.freeze()  # as the service's own server does, for every row: what was imported is not walked again and again
    config = uvicorn.Config(app, port=port, http="httptools", log_config=None, access_log=False)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
