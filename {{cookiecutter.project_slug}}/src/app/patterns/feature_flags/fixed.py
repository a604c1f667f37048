"""Answers that stand still: for tests, and for code that was given no others."""

from collections.abc import Mapping

from .registry import Experiment, Switch


class FixedFlags:
    """Answers as it was told to, and with the default where it was told nothing."""

    def __init__(
        self, answers: Mapping[Switch, bool] | None = None, variants: Mapping[Experiment, str] | None = None
    ) -> None:
        self._answers = dict(answers or {})
        self._variants = dict(variants or {})

    def is_on(self, switch: Switch) -> bool:
        return self._answers.get(switch, switch.default)

    def variant(self, experiment: Experiment) -> str:
        return self._variants.get(experiment, experiment.default)
