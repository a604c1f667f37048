"""Structured logging: every line of the process is one JSON object of one published shape, wherever it comes from.

Use when: logs are searched by machines, and a line has to lead to its request, its trace and its tenant.
Not when: the program is a script that one person watches.
Costs:    about 6 microseconds for the one line of a request, written; about 11 for any other.
Fails:    a value that cannot be rendered is replaced by its bounded `repr`, never raised at the caller. Writing blocks
          when whatever reads standard output stops reading: that is the price of losing nothing. A reader that is
          gone -> lines are dropped and counted. A loud event -> its lines are dropped, counted and summed up; errors
          never are. A caller who picks his trace id picks whether the line of a sampled endpoint is kept.
Copy:     this folder with its schema, kit/asgi.py, kit/context.py, kit/errors.py, kit/histogram.py,
          kit/instruments.py, kit/marks.py, kit/redaction.py, kit/spans.py.
Origin:   the canonical log line (Leach, "Fast and flexible observability with canonical log lines", 2019); "The
          Twelve-Factor App" XI (logs as event streams).
"""

from .access_log import AccessLog
from .configuration import configure
from .interpreter import watch_interpreter
from .settings import LoggingSettings

__all__ = ["AccessLog", "LoggingSettings", "configure", "watch_interpreter"]
