"""The Dockerfile keeps to what hadolint and trivy ask for, and both would notice a mistake."""

from pathlib import Path

import pytest

from dev.delivery.tools import run
from dev.environment import ROOT

DOCKERFILE = ROOT / "deploy/Dockerfile"


def test_hadolint_finds_nothing() -> None:
    """No exception is made."""
    found = run("hadolint", str(DOCKERFILE))

    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize(
    ("text", "instead", "rule"),
    [
        pytest.param("ARG PYTHON_IMAGE=python:3.13-slim-bookworm", "ARG X\nFROM python:latest", "DL3007", id="latest"),
        pytest.param("WORKDIR /srv", "WORKDIR srv", "DL3000", id="relative folder"),
        pytest.param('ENTRYPOINT ["app"]', "ENTRYPOINT app", "DL3025", id="a shell before the service"),
        pytest.param("COPY migrations /srv/migrations", "ADD migrations /srv/migrations", "DL3020", id="ADD"),
        pytest.param("USER 10001:10001", "USER root", "DL3002", id="root"),
    ],
)
def test_hadolint_would_notice(tmp_path: Path, text: str, instead: str, rule: str) -> None:
    """A mistake that is planted is named."""
    whole = DOCKERFILE.read_text()
    assert text in whole
    (tmp_path / "Dockerfile").write_text(whole.replace(text, instead, 1))

    found = run("hadolint", str(tmp_path / "Dockerfile"))

    assert found.returncode == 1
    assert rule in found.stdout
