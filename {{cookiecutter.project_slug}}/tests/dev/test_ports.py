"""dev/ports.py: what is given to one is given to nobody else."""

import subprocess
import sys

from dev.environment import ROOT
from dev.ports import free_port

_DRAWN = "from dev.ports import free_port; print(*[free_port() for _ in range(400)], flush=True); input()"


def test_no_port_is_given_twice() -> None:
    """Its server may not listen yet. Of 400 drawn blindly, two are the same in 99 of 100 runs."""
    given = [free_port() for _ in range(400)]

    assert len(set(given)) == 400


def test_another_process_is_given_others() -> None:
    """For as long as the first lives: of 400 for each, some would be the same in every run."""
    with subprocess.Popen(
        [sys.executable, "-c", _DRAWN], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        theirs = {int(port) for port in other.stdout.readline().split()}

        ours = {free_port() for _ in range(400)}
        other.communicate("")

    assert len(theirs) == 400
    assert ours & theirs == set()
