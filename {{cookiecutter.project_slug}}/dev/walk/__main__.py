"""`make demo`: start the whole system, follow five requests through it, and leave it running until Ctrl-C.

Everything shown is read from outside, as an operator would: answers, log lines, spans, /metrics, the broker, the API.
A step that does not show what it claims ends the walk with one line and exit status 1.
Ports are free ones and the data is thrown away, so it runs beside `make up`.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

from dev.otlp_receiver import OtlpReceiver, receiving
from dev.ports import free_port
from dev.process import StartFailed
from dev.stack import Stack
from dev.walk.evidence import Evidence, NotShown
from dev.walk.recorder import Recorder
from dev.walk.screen import Screen
from dev.walk.steps import STEPS
from dev.walk.walk import Walk

_PORTS = ("http", "worker", "nats", "payments", "issuer")  # and no probe: its events would come between the walk's
_SETTLE_AFTER_SECONDS = 3  # 10 by default; above the provider's timeout, as always


def main() -> None:
    """Walk, then wait; a failure is one line on standard error and exit status 1."""
    arguments = argparse.ArgumentParser(
        prog="walk", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--exit", action="store_true", help="stop everything after the walk")
    given = arguments.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        _run(leave_running=not given.exit)
    except (NotShown, StartFailed) as exc:
        sys.exit(f"walk: {exc}")
    except KeyboardInterrupt:
        pass


def _run(*, leave_running: bool) -> None:
    recorder = Recorder()
    with tempfile.TemporaryDirectory(prefix="walk-") as folder, receiving(OtlpReceiver()) as collector:
        settings = {
            "APP_LOGGING__FORMAT": "json",
            "APP_LOGGING__LEVEL": "info",
            "APP_ORDERS__SETTLE_AFTER_SECONDS": str(_SETTLE_AFTER_SECONDS),
            "APP_TRACING__EXPORT_DELAY_SECONDS": "0.1",
            "APP_TRACING__OTLP_ENDPOINT": collector.endpoint,
            "APP_TRACING__RATIO": "1",
        }
        ports = {name: free_port() for name in _PORTS}
        stack = Stack(Path(folder), ports, recorder, settings=settings)
        try:
            begun = time.perf_counter()
            stack.start()
            recorder.say(f"ready after {time.perf_counter() - begun:.1f} s")
            asyncio.run(_walk(stack, recorder, collector))
            if leave_running:
                recorder.show(stack.banner())
                recorder.live = True
                stack.watch()
        finally:
            stack.stop()


async def _walk(stack: Stack, recorder: Recorder, collector: OtlpReceiver) -> None:
    begun = time.perf_counter()
    screen = Screen(recorder)
    async with Evidence(stack, recorder, collector) as evidence:
        walk = Walk(screen, evidence, settle_after_seconds=_SETTLE_AFTER_SECONDS)
        for number, (title, step) in enumerate(STEPS.items(), 1):
            screen.headline(f"{number}/{len(STEPS)}", title)
            if number == 2:
                screen.text("note", "Log lines and events show from here on only the fields that differ from step 1.")
            try:
                await step(walk)
            except NotShown as exc:
                raise NotShown(f'step {number}, "{title}": {exc}') from exc
    screen.close(f"{len(STEPS)} steps, each shown as claimed, in {time.perf_counter() - begun:.1f} s.")


if __name__ == "__main__":
    main()
