"""dev/npm.py: what is not here is told with what to do, and half an installation is none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dev import npm
from dev.ops.tools import ToolMissing

Programs = Callable[..., None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return a function that says which programs there are, and what each does; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def say(**scripts: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return say


@pytest.mark.parametrize(
    ("scripts", "told"),
    [
        pytest.param({}, "Node 20 or newer is not installed", id="no node"),
        pytest.param({"node": "echo v18.20.0"}, "Node 20 or newer is not installed", id="an old node"),
        pytest.param({"node": "echo nonsense >&2; exit 1"}, "Node 20 or newer is not installed", id="a broken node"),
        pytest.param({"node": "echo v22.1.0"}, "there is no npm", id="no npm"),
        pytest.param(
            {"node": "echo v22.1.0", "npm": "echo no such host >&2; exit 1"},
            "cannot be installed: no such host",
            id="no registry",
        ),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, programs: Programs, scripts: dict[str, str], told: str) -> None:
    """In one line; and the next try begins anew."""
    programs(**scripts)

    with pytest.raises(ToolMissing, match=told):
        npm.find("unleash-server")
    assert list((tmp_path / "cache").rglob("unleash-server-*")) == []


def test_a_package_is_installed_once(tmp_path: Path, programs: Programs) -> None:
    """Each version has a folder of its own, which the second call finds."""
    programs(node="echo v22.1.0", npm=f"echo installed >> {tmp_path}/log")

    found = [npm.find("unleash-server"), npm.find("unleash-server")]

    version = npm.PACKAGES["unleash-server"]
    folder = tmp_path / "cache" / "service-ops" / "npm" / f"unleash-server-{version}"
    assert found == [folder / "node_modules" / "unleash-server"] * 2
    assert (tmp_path / "log").read_text() == "installed\n"
