"""YAML whose mistakes are told with their line."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from dev.environment import ROOT

_Model = TypeVar("_Model", bound=BaseModel)
Place = tuple[str | int, ...]
"""Where something is in a file: the keys and indices that lead to it."""


class BadSource(Exception):
    """A file that people write cannot be used; the message has a line for each mistake, with its number and reason."""


class Document:
    """A file, and where in it everything is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = path.read_text()
        try:
            self._node = yaml.compose(self._text)
        except yaml.MarkedYAMLError as exc:
            line = exc.problem_mark.line + 1 if exc.problem_mark else 1
            raise BadSource(f"{self._name}:{line}: {exc.problem}") from exc

    def read(self, model: type[_Model], check: Callable[[_Model], Iterable[tuple[Place, str]]]) -> _Model:
        """Return what it says, if `check` finds nothing wrong in it either.

        Raises:
            BadSource: with the line and the reason of each mistake.
        """
        try:
            found = model.model_validate(yaml.safe_load(self._text))
        except ValidationError as exc:
            errors = exc.errors(include_input=False, include_url=False)
            raise self.mistakes((error["loc"], error["msg"]) for error in errors) from None
        if wrong := list(check(found)):
            raise self.mistakes(wrong)
        return found

    def mistakes(self, found: Iterable[tuple[Place, str]]) -> BadSource:
        """Return the error that tells what is wrong, and where."""
        return BadSource(
            "\n".join(f"{self._name}:{self.line_of(place)}: {_path(place)}: {why}" for place, why in found)
        )

    def line_of(self, place: Place) -> int:
        """Return the line that a place is in, or that of the nearest thing around it."""
        node: Any = self._node
        line = 1
        for step in place:
            if isinstance(node, yaml.MappingNode):
                pairs = {key.value: (key, value) for key, value in node.value}
                if step not in pairs:
                    break
                key, node = pairs[step]
                line = key.start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
        return int(line)

    @property
    def _name(self) -> str:
        return str(self.path.relative_to(ROOT)) if self.path.is_relative_to(ROOT) else self.path.name


def _path(place: Sequence[str | int]) -> str:
    return ".".join(map(str, place)) or "the file"
