"""Retention: rules that say how long rows are kept, and legal holds that overrule them.

Use when: rows must not be kept for ever, or must be kept for so long, and somebody will ask you to show that.
Not when: a row loses its use in minutes, like an idempotency key - its pattern deletes it itself.
Costs:    two small tables; a look at the holds in each transaction that removes rows.
Fails:    a hold is placed while rows are removed -> it waits for the transaction at work, and what is left stays;
          a run does not end -> the time of the last one that did, which the gauge tells, stands still.
Copy:     this folder, kit/clock.py, kit/context.py, kit/db.py, kit/errors.py, kit/histogram.py,
          kit/instruments.py, migration 0006_retention.
Origin:   storage limitation, GDPR article 5(1)(e); the duty to preserve, Zubulake v. UBS Warburg (2003).

    models.py the tables
    rules.py  what is read from a file: table, days, action, exception
    holds.py  placing, releasing and asking for holds
    runs.py   when each table was last dealt with, and the job that tells it
"""

from .holds import Hold, NoSuchHold, freeze, holds, kept, place, release
from .rules import BadRules, RetentionSettings, Rule, parse
from .runs import Watch, completed

__all__ = [
    "BadRules",
    "Hold",
    "NoSuchHold",
    "RetentionSettings",
    "Rule",
    "Watch",
    "completed",
    "freeze",
    "holds",
    "kept",
    "parse",
    "place",
    "release",
]
