"""Sends every line of the process - structlog, standard library, warnings, crashes - through `lines.Lines`."""

import logging
import sys
import threading
from types import TracebackType
from typing import Any, BinaryIO, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from .lines import Lines, renderer

# httpx logs each call with its full address at INFO: query strings do not belong in logs.
_TALKATIVE = ("httpx", "httpcore")


class LoggingSettings(BaseModel):
    """What is written, and for whom."""

    model_config = ConfigDict(frozen=True)

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lines below this are dropped.")
    format: Literal["json", "console"] = Field("json", description="`json` for machines, `console` for a terminal.")


def configure(
    settings: LoggingSettings, *, service: str, env: str, version: str, stream: BinaryIO | None = None
) -> None:
    """Take over all logging of the process and write it to `stream`, by default standard output."""
    lines = Lines(stream or sys.stdout.buffer, renderer(settings.format), service=service, env=env, version=version)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[_Shape(lines)],
        logger_factory=_SinkFactory(lines),
        cache_logger_on_first_use=False,  # a logger made before this call must still come here
    )
    _take_over_standard_library(lines, level)
    _take_over_crashes()


class _Sink:
    """structlog's output end: writes what the processors rendered."""

    def __init__(self, lines: Lines, name: str) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = lines.write


class _SinkFactory:
    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __call__(self, name: str = "app") -> _Sink:
        return _Sink(self._lines, name)


class _Shape:
    """structlog's only processor: a chain of small ones costs half as much as FastAPI itself."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __call__(self, sink: _Sink, level: str, fields: structlog.typing.EventDict) -> bytes:
        event = fields.pop("event")
        return self._lines.line(level, sink.name, event, fields)


class _Handler(logging.Handler):
    """The standard library's output end: uvicorn, SQLAlchemy, Alembic, warnings."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit the message
            event = str(record.msg)
        fields: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
        self._lines.write(self._lines.line(record.levelname.lower(), record.name, event, fields))


def _take_over_standard_library(lines: Lines, level: int) -> None:
    root = logging.getLogger()
    root.handlers = [_Handler(lines)]
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
