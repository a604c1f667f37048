"""The operator's commands. A mistake ends with one line on standard error that says what to do, and exit status 1.

Standard output belongs to the log, line by line, except where somebody asked for a text: `--help`, `app openapi`, and
commands of a group, such as `app outbox list`, whose lines go to standard error.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

import structlog

from app import main as http
from app import worker
from app.commands import CommandFailed, audit, migrate, outbox, partitions, retention
from app.patterns import migrations, structured_logging
from app.patterns.health import Health
from app.patterns.structured_logging import LoggingSettings
from app.server import CannotListen, CannotStart, serve_until
from app.settings import BadSettings, ProbeProcess, Settings, load, load_probe

_Settings = TypeVar("_Settings")
_log = structlog.get_logger(__name__)


def main() -> None:
    """Entry point of the `app` command."""
    parser = command_line()
    arguments, others = parser.parse_known_args()
    if "client" in arguments:
        sys.exit(arguments.client(others))
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    _run(load, lambda settings: arguments.command(settings, arguments))


def _run(read: Callable[[], _Settings], command: Callable[[_Settings], Coroutine[Any, Any, None]]) -> None:
    structured_logging.configure(LoggingSettings())  # what goes wrong with the settings is a line as well
    try:
        settings = read()
    except BadSettings as exc:
        _give_up(f"these settings are missing or wrong:\n{exc}\nSee .env.example for an example of each.")
    try:
        run = asyncio.run if sys.platform == "win32" else _uvloop_run
        run(command(settings))
    except (CommandFailed, CannotListen, CannotStart, FileNotFoundError, migrations.BrokenLine) as exc:
        _give_up(str(exc))
    except ExceptionGroup as group:
        expected, unexpected = group.split((CannotListen, CannotStart))
        if expected is None or unexpected is not None:
            raise
        _give_up(str(expected.exceptions[0]))


def _give_up(reason: str) -> NoReturn:
    """End: with a line for the log, and the reason on standard error for whoever has started this."""
    if not sys.stdout.isatty():
        _log.critical("process.gave_up", reason=reason)
    sys.exit(f"app: {reason}")


def command_line() -> argparse.ArgumentParser:
    """Return all commands, with what each takes."""
    parser = argparse.ArgumentParser(prog="app", description="Run and operate this service.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        sub.set_defaults(command=_without_arguments(command))
    for group in GROUPS:
        group(commands)
    for name, client in CLIENTS.items():
        commands.add_parser(name, help=client.__doc__, add_help=False).set_defaults(client=client)
    return parser


async def _serve(settings: Settings) -> None:
    """Answer HTTP requests."""
    health = Health()
    stop = _stop_on_signal()
    await serve_until(stop, http.create_app(settings, health), settings.http, health)


async def _work(settings: Settings) -> None:
    """Relay events, consume events, and do what the domains have to do in the background."""
    await worker.run(settings, _stop_on_signal())


async def _openapi(settings: Settings) -> None:
    """Print the API's description (OpenAPI 3.1) as JSON."""
    print(json.dumps(http.create_app(settings, Health()).openapi(), indent=2))


def _telemetry_cost(words: Sequence[str]) -> int:
    """Measure what the telemetry of a running service costs, against its budget."""
    from app import telemetry_cost  # noqa: PLC0415 - `app serve` does not load what it does not need

    return telemetry_cost.main(words)


def _probe(words: Sequence[str]) -> int:
    """Try a customer's steps from outside, all the time, and count what comes of them."""
    from app import probe  # noqa: PLC0415 - its metrics are for its own process alone

    async def run(process: ProbeProcess) -> None:
        await probe.run(process, _stop_on_signal())

    argparse.ArgumentParser(prog="app probe", description=_probe.__doc__).parse_args(words)
    _run(load_probe, run)
    return 0


def _stop_on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _uvloop_run(main: Coroutine[Any, Any, None]) -> None:
    import uvloop  # noqa: PLC0415 - not there on Windows

    uvloop.run(main)


def _without_arguments(
    command: Callable[[Settings], Awaitable[None]],
) -> Callable[[Settings, argparse.Namespace], Awaitable[None]]:
    return lambda settings, _arguments: command(settings)


COMMANDS: dict[str, Callable[[Settings], Awaitable[None]]] = {
    "serve": _serve,
    "worker": _work,
    "openapi": _openapi,
}

# Commands with commands of their own: each adds its parsers, whose `command` takes the settings and the arguments.
GROUPS: list[Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None]] = [
    audit.register,
    migrate.register,
    outbox.register,
    partitions.register,
    retention.register,
]

# Look at a running service from outside: they have arguments of their own, and need none of its settings.
CLIENTS: dict[str, Callable[[Sequence[str]], int]] = {
    "probe": _probe,
    "telemetry-cost": _telemetry_cost,
}
