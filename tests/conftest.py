"""Fixtures, and the lists at the end of a run: figures that were measured, proofs that could not be had here."""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from baking import ROOT, Bakery

collect_ignore = ["second_resource"]  # tests of a service that does not exist before test_second_resource.py makes it
_FIGURE = "figure"
_UNPROVEN = "unproven"


@pytest.fixture(scope="session")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Bakery:
    """A place to bake in."""
    return Bakery(tmp_path_factory.mktemp("bakery"))


@pytest.fixture(scope="session")
def service(bakery: Bakery) -> Path:
    """A service from the default answers. Read it, do not change it."""
    return bakery.bake()


@pytest.fixture(scope="session")
def uv() -> str:
    """Path of the uv that `make setup` installed."""
    path = ROOT / ".tools" / "bin" / "uv"
    found = str(path) if path.exists() else shutil.which("uv")
    assert found is not None, "no uv: run the tests by `make test`"
    return found


@pytest.fixture(scope="session")
def equipped(bakery: Bakery, uv: str) -> Path:
    """A service from the default answers with its dependencies installed, as its Makefile does it."""
    service = bakery.bake()
    tools = service / ".tools" / "bin"
    tools.mkdir(parents=True)
    for name in ("uv", "python"):
        (tools / name).symlink_to(Path(uv).parent / name)
    subprocess.run(["make", "--silent", "setup"], cwd=service, check=True, timeout=600)
    return service


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Note a measured figure for the end of the run."""
    return lambda text: record_property(_FIGURE, text)


@pytest.fixture
def unproven(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Note a proof that needs a tool which is not here; in CI that is a failure, unless unproven.toml accepts it."""

    def note(proof: str, how_to_get_it: str) -> None:
        record_property(_UNPROVEN, f"{proof}: {how_to_get_it}")
        accepted = tomllib.loads((ROOT / "unproven.toml").read_text()).get(proof)
        if accepted is None or accepted["review"] < datetime.now(UTC).date():
            assert not os.environ.get("CI"), f"unproven: {proof}. {how_to_get_it}"

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests noted; xdist carries the properties from its workers to here."""
    finished = [report for kind in terminalreporter.stats.values() for report in kind]
    properties = [pair for report in finished for pair in getattr(report, "user_properties", [])]
    for key, title in ((_FIGURE, "figures"), (_UNPROVEN, "UNPROVEN here")):
        notes = sorted({str(value) for name, value in properties if name == key})
        if notes:
            terminalreporter.section(title)
            for note in notes:
                terminalreporter.line(f"{key.upper()} {note}")
