"""Sends every line of the process - structlog, standard library, warnings, crashes - through `lines.Lines`."""

import atexit
import logging
from collections.abc import Callable
from typing import BinaryIO

import structlog

from .crashes import take_over_hooks
from .lines import Lines, install, installed
from .output import standard_output
from .settings import LoggingSettings
from .values import library_event, message
from .volume import VOLUME, Volume

# Libraries whose INFO is noise beside our own events. httpx writes each call's full address, query string included.
_TALKATIVE = ("alembic", "httpcore", "httpx", "uvicorn")


def configure(
    settings: LoggingSettings,
    *,
    service: str | None = None,
    env: str | None = None,
    version: str | None = None,
    stream: BinaryIO | None = None,
    volume: Volume = VOLUME,
) -> None:
    """Take over all logging of the process and write it to `stream`, by default standard output.

    It may be called again: first for what goes wrong before the settings are known, then with them.
    """
    lines = Lines(stream or standard_output(), settings, service=service, env=env, version=version, volume=volume)
    install(lines)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(lines.level),
        processors=[],  # a chain of small ones costs half as much as FastAPI itself
        logger_factory=_Sink,
        cache_logger_on_first_use=False,  # a logger used before this call must still follow the new level
    )
    _take_over_standard_library(lines.level)
    take_over_hooks()
    atexit.unregister(_summarise)
    atexit.register(_summarise)


def _summarise() -> None:
    installed().summarise()


def _at(level: str) -> Callable[..., None]:
    def write(self: "_Sink", /, event: object = None, **fields: object) -> None:
        installed().log(level, self.name, event, fields)

    return write


class _Sink:
    """structlog's output end."""

    debug, info, warning, error, critical = map(_at, ("debug", "info", "warning", "error", "critical"))

    def __init__(self, name: str = "app") -> None:
        self.name = name


class _Handler(logging.Handler):
    """The standard library's output end: uvicorn, SQLAlchemy, Alembic, asyncio, warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said: object = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the message, or cannot be shown
            said = record.msg
        fields = {"message": message(said), "exc_info": record.exc_info}
        # asyncio says so of a task, a future or a callback whose failure nobody waited for, whatever the loop.
        crashed = record.name == "asyncio" and bool(record.exc_info)
        event = "task.crashed" if crashed else library_event(record.name)
        installed().log(_level_name(record.levelno), record.name, event, fields)


def _level_name(level: int) -> str:
    """Return the name of the next level below that the schema knows: libraries invent levels of their own."""
    known = (
        (logging.CRITICAL, "critical"),
        (logging.ERROR, "error"),
        (logging.WARNING, "warning"),
        (logging.INFO, "info"),
    )
    return next((name for number, name in known if level >= number), "debug")


def _take_over_standard_library(level: int) -> None:
    root = logging.getLogger()
    root.handlers = [_Handler()]
    root.setLevel(level)
    for name in list(root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()  # whoever brought handlers of its own would write lines of another shape, or twice
        logger.propagate = True
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
