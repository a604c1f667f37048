"""Programs that start at once: forked from a process that has imported them already.

Importing the service takes a core for more than a second, and a run starts it a hundred times. What is started is a
client: it hands over its words, environment, folder and standard streams, passes signals on, and ends as the program
ends. If the client is killed, so is the program. Both halves use the standard library alone, as the client must not
take long either.
"""

import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_LENGTH, _STATUS = struct.Struct("!I"), struct.Struct("!i")
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SERVE = "serve"


def server(address: Path, modules: Sequence[str]) -> tuple[str, ...]:
    """Return the command line of the process that imports `modules`, and says `ready` when it has."""
    return (sys.executable, "-m", "dev.prove.forks", _SERVE, str(address), *modules)


def program(address: Path, module: str) -> tuple[str, ...]:
    """Return the command line that runs the `main` of a module; words may follow."""
    return (sys.executable, "-I", "-S", __file__, str(address), module)


def _ask(address: str, module: str, words: Sequence[str]) -> int:
    """Run a program, and return its exit status: negative for the signal that ended it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        wanted = {"module": module, "words": words, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
        request = json.dumps(wanted).encode()
        socket.send_fds(connection, [_LENGTH.pack(len(request))], [0, 1, 2])
        connection.sendall(request)
        for number in _PASSED_ON:
            signal.signal(number, lambda number, _: connection.sendall(bytes([number])))
        status = connection.recv(_STATUS.size)
    return int(_STATUS.unpack(status)[0]) if status else 1


def _serve(address: str, modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are not waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(connection)
                return
            connection.close()


def _keep(connection: socket.socket) -> None:
    """Start a program, pass signals on to it, and tell how it ended. In the program itself this returns at its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
    with connection.makefile("rb") as written:
        request = json.loads(written.read(*_LENGTH.unpack(length)))
    running, held = os.pipe()  # the program holds one end of it, as long as it lives
    pid = os.fork()
    if pid == 0:
        connection.close()
        _run(request, streams)
        return
    for number in (*streams, held):
        os.close(number)
    while True:
        ready, _, _ = select.select([running, connection.fileno()], [], [])
        if running in ready:
            break
        numbers = connection.recv(16)
        for number in numbers or [signal.SIGKILL]:
            os.kill(pid, number)
        if not numbers:
            break
    _, status = os.waitpid(pid, 0)
    connection.sendall(_STATUS.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _run(request: dict[str, Any], streams: Sequence[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = [request["module"], *request["words"]]
    importlib.import_module(request["module"]).main()


if __name__ == "__main__":
    if sys.argv[1] == _SERVE:
        _serve(sys.argv[2], sys.argv[3:])
    else:
        ended = _ask(sys.argv[1], sys.argv[2], sys.argv[3:])
        if ended < 0:
            signal.signal(-ended, signal.SIG_DFL)
            os.kill(os.getpid(), -ended)
        sys.exit(ended)
