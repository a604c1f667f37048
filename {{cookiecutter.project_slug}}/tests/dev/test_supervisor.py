"""The supervisor: whatever it has started, it stops."""

import os
import signal
import sys

import pytest

from dev.console import Console
from dev.process import Process
from dev.supervisor import Supervisor


class InterruptedBirth(Process):
    """A process whose start is met by Ctrl-C, at the moment when it already runs and nobody knows it yet."""

    def start(self) -> None:
        """Interrupt this very process, then start."""
        os.kill(os.getpid(), signal.SIGINT)
        super().start()


def test_ctrl_c_while_a_process_is_born_leaves_nothing() -> None:
    """The interrupt waits until the child has an owner, and the owner stops it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    supervisor = Supervisor(Console())
    process = InterruptedBirth("child", [sys.executable, "-c", "import signal; signal.pause()"])
    try:
        with pytest.raises(KeyboardInterrupt):
            supervisor.start(process)
        assert process.running

        supervisor.stop_all()

        assert not process.running
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
