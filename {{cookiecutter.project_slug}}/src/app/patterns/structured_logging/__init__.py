"""Structured logging: every line of the process is one JSON object of one shape, wherever it comes from.

Use when: logs are searched by machines, and a line has to lead to its request, its trace and its tenant.
Not when: the program is a script that one person watches.
Costs:    about 12 microseconds a line; one line a request.
Fails:    a value that cannot be rendered is replaced by its bounded `repr`, never raised at the caller. Writing blocks
          when whatever reads standard output stops reading: that is the price of losing nothing.
Copy:     this folder, kit/asgi.py, kit/context.py, kit/redaction.py.
Origin:   the canonical log line (Leach, "Fast and flexible observability with canonical log lines", 2019); "The
          Twelve-Factor App" XI (logs as event streams).
"""

from .access_log import AccessLog
from .configuration import LoggingSettings, configure

__all__ = ["AccessLog", "LoggingSettings", "configure"]
