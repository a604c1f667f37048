"""Feature flags: what is released, and what is stopped, is decided at run time, and never by waiting for a server.

Use when: a release is to reach some customers first, or something must be stopped faster than a release can be made.
Not when: it is configuration that differs by environment - that is a setting; or a right of a customer - that is data.
Costs:    about 25 microseconds an evaluation, in this process; one small request per `poll_seconds` and process.
Fails:    to what was known last: the server's last answer, then its copy on disk, then the bootstrap file, then the
          default that the flag was declared with. Alert FeatureFlagsStale says for how long.
Copy:     this folder, kit/clock.py, kit/context.py, kit/histogram.py, kit/instruments.py, kit/spans.py.
Origin:   Hodgson, "Feature Toggles", 2017; rules and their evaluation are Unleash's own.

    registry.py   what a flag is: declared once, with an owner and an end
    client.py     the answers, from what is in memory
    rules.py      Unleash's engine, which evaluates rules here as the server would
    polling.py    the task that asks the server for new rules
    files.py      rules on disk: the last ones that were fetched, and those to begin with
    fixed.py      answers that stand still, for tests and for who has no server
"""

from .client import FeatureFlags, UnregisteredFlag, running
from .fixed import FixedFlags
from .registry import Experiment, Flag, Flags, KillSwitch, ReleaseFlag, Switch, overdue
from .settings import FeatureFlagSettings

__all__ = [
    "Experiment",
    "FeatureFlagSettings",
    "FeatureFlags",
    "FixedFlags",
    "Flag",
    "Flags",
    "KillSwitch",
    "ReleaseFlag",
    "Switch",
    "UnregisteredFlag",
    "overdue",
    "running",
]
