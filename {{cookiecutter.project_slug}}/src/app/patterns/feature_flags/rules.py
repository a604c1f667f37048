"""Rules of the flag server, and their evaluation by Unleash's own engine, as the server would."""

import json
from collections.abc import Mapping
from typing import TypeAlias

from yggdrasil_engine.engine import UnleashEngine  # type: ignore[import-untyped]  # has no types

from .registry import OFF, ON, Experiment, Switch

Context: TypeAlias = Mapping[str, object]


class MalformedRules(Exception):
    """What should hold rules does not."""


class Rules:
    """One answer of the server: it never changes, another one is another object."""

    def __init__(self, document: str) -> None:
        """Raise MalformedRules where `document` is not what the engine takes as a whole."""
        self._engine = UnleashEngine()
        try:
            names = {feature["name"] for feature in json.loads(document)["features"]}
            self._engine.take_state(document)
            self.names = {str(feature.name) for feature in self._engine.list_known_toggles()}
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as exc:  # the engine checks nothing
            raise MalformedRules(f"no rules of Unleash: {type(exc).__name__}") from exc
        # What it cannot read, it drops without a word, and then knows no flag at all.
        if self.names != names:
            raise MalformedRules("no rules of Unleash: the engine refuses them")

    def switch(self, switch: Switch, context: Context) -> str | None:
        """Return the answer, or None if the rules do not know the flag."""
        found = self._engine.check_enabled(switch.name, context)
        return (ON if found.is_enabled else OFF) if found.is_found else None

    def variant(self, experiment: Experiment, context: Context) -> str | None:
        """Return the answer, or None if the rules know no flag or no variant of it that the code knows."""
        found = self._engine.check_variant(experiment.name, context).variant
        return str(found.name) if found.enabled and found.name in experiment.variants else None
