"""The Dockerfile keeps to what hadolint and trivy ask for, and both would notice a mistake; its base stays fresh."""

import json
import re
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
        pytest.param("FROM python:3.13-slim-bookworm", "FROM python:latest", "DL3007", id="latest"),
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


def test_trivy_finds_nothing_and_would_notice(tmp_path: Path) -> None:
    """A user who was forgotten is root, of which hadolint says nothing."""
    text = DOCKERFILE.read_text()
    for name, written in {"ours": text, "without": text.replace("USER 10001:10001\n", "")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(written)

    said = run(
        "trivy", "config", "--skip-check-update", "--disable-telemetry", "--quiet", "--format", "json", str(tmp_path)
    )

    found = {
        each["Target"]: [finding["ID"] for finding in each.get("Misconfigurations", ())]
        for each in json.loads(said.stdout)["Results"]
    }
    assert found == {"ours/Dockerfile": [], "without/Dockerfile": ["DS-0002"]}


def test_what_is_installed_is_what_was_locked() -> None:
    """Each file against its hash, and nothing for development."""
    installs = re.findall(r"uv sync (.+)$", DOCKERFILE.read_text(), re.MULTILINE)

    assert len(installs) == 2
    assert all(each.startswith("--locked --no-dev ") for each in installs)


def test_what_keeps_images_fresh_finds_the_base() -> None:
    """Dependabot reads no variable: each FROM is an image by its name, or a stage; and the image is named once."""
    named = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)

    assert re.fullmatch(r"python:[\w.-]+(@sha256:[0-9a-f]{64})?", named[0])
    assert named[1:] == ["base", "base"]
