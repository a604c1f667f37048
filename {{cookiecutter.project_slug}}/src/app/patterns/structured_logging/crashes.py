"""What ends a process, a thread, a task or a finalizer becomes a line, also when the interpreter itself dies."""

import sys
import threading
from types import TracebackType

from .lines import installed

_MODULE = "python"


def take_over_hooks() -> None:
    """Log what Python would print: uncaught exceptions of the process, of threads, and those that nobody can catch."""
    sys.excepthook = _on_crash
    threading.excepthook = _on_thread_crash
    sys.unraisablehook = _on_unraisable


def _on_crash(cls: type[BaseException], exc: BaseException, tb: TracebackType | None) -> None:
    if issubclass(cls, KeyboardInterrupt):
        sys.__excepthook__(cls, exc, tb)  # for the person at the keyboard
    else:
        installed().log("critical", _MODULE, "process.crashed", {"exc_info": exc})


def _on_thread_crash(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        thread = args.thread.name if args.thread else None
        installed().log("error", _MODULE, "thread.crashed", {"thread": thread, "exc_info": args.exc_value})


def _on_unraisable(args: "sys.UnraisableHookArgs") -> None:
    """An exception in a finalizer, a callback of the garbage collector, or a function that runs at exit."""
    where = getattr(args.object, "__qualname__", type(args.object).__qualname__)
    fields = {"where": where, "message": args.err_msg, "exc_info": args.exc_value}
    installed().log("error", _MODULE, "finalizer.crashed", fields)
