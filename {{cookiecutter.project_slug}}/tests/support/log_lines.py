"""The log of one test: what was written, each line checked against the published schema."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema_rs
import structlog
from prometheus_client import CollectorRegistry

from app.patterns.structured_logging import LoggingSettings, configure
from app.patterns.structured_logging.lines import Lines, install
from app.patterns.structured_logging.volume import Volume
from dev.environment import ROOT

IDENTITY: dict[str, str | None] = {"service": "orders", "env": "test", "version": "1.2.3"}
SCHEMA: dict[str, Any] = json.loads((ROOT / "src/app/patterns/structured_logging/schema.json").read_text())
_VALIDATOR = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)


def violations(line: dict[str, Any]) -> list[str]:
    """Return what a line has that the schema does not allow."""
    return [f"{error.instance_path}: {error.message}" for error in _VALIDATOR.iter_errors(line)]


class Log:
    """Where the lines of a test go, and what was counted."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self.registry = CollectorRegistry()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return the lines so far; every one of them keeps to the schema."""
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        assert [(line, broken) for line in lines if (broken := violations(line))] == []
        return lines

    def counted(self, name: str, **labels: str) -> float:
        """Return a counter of this log, 0 where nothing was counted."""
        return self.registry.get_sample_value(name, labels) or 0


@contextmanager
def installed_log(**settings: Any) -> Iterator[Log]:  # noqa: ANN401 - fields of LoggingSettings
    """Make a log what the pattern writes to, and leave the process's own logging alone."""
    log = Log()
    lines = Lines(log.stream, LoggingSettings(**settings), **IDENTITY, volume=Volume(registry=log.registry))
    install(lines)
    try:
        yield log
    finally:
        install(None)


@contextmanager
def configured_log(*, identity: dict[str, str | None] = IDENTITY, **settings: Any) -> Iterator[Log]:  # noqa: ANN401 - fields of LoggingSettings
    """Send everything that this process logs to a log, and give the process its own logging back."""
    root = logging.getLogger()
    before = root.handlers, root.level, sys.excepthook, threading.excepthook, sys.unraisablehook
    log = Log()
    configure(LoggingSettings(**settings), **identity, stream=log.stream, volume=Volume(registry=log.registry))
    try:
        yield log
    finally:
        root.handlers, root.level, sys.excepthook, threading.excepthook, sys.unraisablehook = before
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
        install(None)
