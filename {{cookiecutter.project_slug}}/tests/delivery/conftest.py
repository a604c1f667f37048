"""Fixtures of the tests around what is delivered."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pytest

from dev.delivery import tools as delivery_tools
from dev.delivery.kustomize import Object, render_all
from dev.ops import tools
from tests.support.needing_tools import WithTools

_Result = TypeVar("_Result")


@pytest.fixture(scope="session")
def with_tools() -> WithTools:
    """Return what calls a function that needs programs; without them a test is left out and says so, in CI is red."""

    def call(function: Callable[[], _Result]) -> _Result:
        try:
            return function()
        except (delivery_tools.ToolMissing, tools.ToolMissing) as exc:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"UNPROVEN: {exc}")

    return call


@pytest.fixture(scope="session")
def rendered(with_tools: WithTools) -> Mapping[str, Sequence[Object]]:
    """Return the objects of every variant of deploy/k8s."""
    return with_tools(render_all)
