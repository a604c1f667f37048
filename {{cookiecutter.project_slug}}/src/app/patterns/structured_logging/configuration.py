"""Sends every line of the process - structlog, standard library, warnings, crashes - through `lines.Lines`."""

import logging
import sys
import threading
from types import TracebackType
from typing import Any, BinaryIO, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from .lines import Lines, install, installed, renderer

# Libraries whose INFO is noise beside our own events. httpx writes each call's full address, query string included.
_TALKATIVE = ("alembic", "httpcore", "httpx", "uvicorn")


class LoggingSettings(BaseModel):
    """What is written, and for whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lines below this are dropped.")
    format: Literal["json", "console"] = Field("json", description="`json` for machines, `console` for a terminal.")


def configure(
    settings: LoggingSettings, *, service: str, env: str, version: str, stream: BinaryIO | None = None
) -> None:
    """Take over all logging of the process and write it to `stream`, by default standard output."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    render = renderer(settings.format)
    install(Lines(stream or sys.stdout.buffer, render, level, service=service, env=env, version=version))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[_shape],
        logger_factory=_Sink,
        cache_logger_on_first_use=False,  # a logger used before this call must still follow the new level
    )
    _take_over_standard_library(level)
    _take_over_crashes()


class _Sink:
    """structlog's output end: writes what the processors rendered."""

    def __init__(self, name: str = "app") -> None:
        self.name = name

    def write(self, line: bytes) -> None:
        installed().write(line)

    debug = info = warning = error = critical = write


def _shape(sink: _Sink, level: str, fields: structlog.typing.EventDict) -> bytes:
    """Render a line: structlog's only processor, since a chain of small ones costs half as much as FastAPI itself."""
    event = fields.pop("event")
    return installed().line(level, sink.name, event, fields)


class _Handler(logging.Handler):
    """The standard library's output end: uvicorn, SQLAlchemy, Alembic, warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit the message
            event = str(record.msg)
        fields: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
        lines = installed()
        lines.write(lines.line(record.levelname.lower(), record.name, event, fields))


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


def _take_over_crashes() -> None:
    log = structlog.get_logger("python")

    def on_crash(cls: type[BaseException], exc: BaseException, tb: TracebackType | None) -> None:
        if issubclass(cls, KeyboardInterrupt):
            sys.__excepthook__(cls, exc, tb)
        else:
            log.critical("process.crashed", exc_info=exc)

    def on_thread_crash(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            thread = args.thread.name if args.thread else ""
            log.error("thread.crashed", thread=thread, exc_info=args.exc_value)

    sys.excepthook = on_crash
    threading.excepthook = on_thread_crash
