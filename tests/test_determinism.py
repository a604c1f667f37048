"""The same answers make the same service, anywhere, without a network."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import Bakery, files

# Python imports this by itself at start-up, in cookiecutter and in the hooks that it starts.
_NO_NETWORK = """
import socket

def refuse(*args, **kwargs):
    raise OSError("the network is off")

socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
"""
_CONNECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=5)"


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """Environment in which Python cannot connect to anything."""
    (tmp_path / "sitecustomize.py").write_text(_NO_NETWORK)
    return {"PYTHONPATH": str(tmp_path)}


def test_two_bakes_are_identical(bakery: Bakery) -> None:
    """Two bakes with other locales, hash seeds, homes and folders hold the same files, bytes and modes."""
    first, second = bakery.new_folder(), bakery.new_folder()

    assert bakery.run(out=first, env={"PYTHONHASHSEED": "1", "LC_ALL": "C", "HOME": str(first.parent)}).returncode == 0
    assert bakery.run(out=second, env={"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}).returncode == 0

    assert _contents(first) == _contents(second)
    assert len(_contents(first)) > 10


def test_a_bake_needs_no_network(bakery: Bakery, offline: dict[str, str]) -> None:
    """With every connection refused, a bake gives the same service."""
    out, with_network = bakery.new_folder(), bakery.new_folder()

    result = bakery.run(out=out, env=offline)
    bakery.run(out=with_network)

    assert result.returncode == 0, result.stdout + result.stderr
    assert _contents(out) == _contents(with_network)


def test_the_network_is_really_off(offline: dict[str, str]) -> None:
    """The environment of the test above refuses a connection that otherwise succeeds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", _CONNECT, str(server.getsockname()[1])]
        open_ = subprocess.run(command, capture_output=True, check=False)
        refused = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True, check=False)

    assert open_.returncode == 0
    assert refused.returncode == 1
    assert "the network is off" in refused.stderr


def test_baking_time_is_reported(bakery: Bakery, figure: Callable[[str], None]) -> None:
    """The time of a bake by the command is measured, and printed with the results."""
    out = bakery.new_folder()

    started = time.perf_counter()
    result = bakery.run(out=out)
    seconds = time.perf_counter() - started

    assert result.returncode == 0
    figure(f"one bake by the command: {seconds:.2f} s (wanted: under 2 s)")


def _contents(out: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): ((out / path).stat().st_mode, (out / path).read_bytes()) for path in files(out)}
