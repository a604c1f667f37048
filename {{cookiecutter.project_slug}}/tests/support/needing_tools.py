"""What a test may need that not every machine has."""

from collections.abc import Callable
from typing import Protocol, TypeVar

_Result = TypeVar("_Result")


class WithTools(Protocol):
    """Calls a function that needs programs; without them the test is left out and says so, and in CI is red."""

    def __call__(self, function: Callable[[], _Result]) -> _Result:
        """Return what the function returns."""
        ...
