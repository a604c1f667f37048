"""Objects held against trivy's policies, but for what deploy/k8s/exceptions.yaml explains."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from dev.delivery import tools
from dev.delivery.kustomize import FOLDER, Object
from dev.delivery.manifests import name_of
from dev.ops.lines import Document
from dev.ops.parts import Part, Sentence

SOURCE = FOLDER / "exceptions.yaml"
_FLAGS = ("--skip-check-update", "--skip-version-check", "--disable-telemetry", "--quiet", "--format", "json")


class ScanFailed(Exception):
    """Trivy could not look; the message is its own."""


class Exemption(Part):
    """What is allowed although a policy forbids it."""

    id: str = Field(pattern=r"^KSV-\d{4,5}$")
    objects: tuple[str, ...] = Field(min_length=1, strict=False)
    """Such as Deployment/waf; `*` stands for anything."""
    because: Sentence
    until: date | None = None


class Exemptions(Part):
    """All of them."""

    exceptions: tuple[Exemption, ...] = Field(strict=False)


def read(path: Path = SOURCE) -> Sequence[Exemption]:
    """Return the exceptions.

    Raises:
        dev.ops.lines.BadSource: with the line and the reason of each mistake.
    """
    return Document(path).read(Exemptions, lambda _: ()).exceptions


def scan(files: Mapping[Path, Object], folder: Path) -> Mapping[Path, Sequence[tuple[str, str]]]:
    """Return which policies each object breaks, with what trivy says; the files are in `folder`.

    Raises:
        ToolMissing: trivy was not installed.
        ScanFailed: it ended with an error, which findings are not, or passed over a file, which for it is none.
    """
    said = tools.run("trivy", "config", *_FLAGS, str(folder), seconds=300)
    if said.returncode:
        raise ScanFailed(said.stderr.strip()[-500:])
    results = json.loads(said.stdout).get("Results", [])
    found: dict[Path, list[tuple[str, str]]] = {folder / each["Target"]: [] for each in results if "Target" in each}
    for each in results:
        for finding in each.get("Misconfigurations", ()):
            found[folder / each["Target"]].append((finding["ID"], finding["Message"]))
    if passed_over := sorted(path.name for path in files.keys() - found.keys()):
        raise ScanFailed(f"trivy did not look at {', '.join(passed_over)}")
    return {path: found[path] for path in files}


def without_exceptions(
    found: Mapping[Path, Sequence[tuple[str, str]]],
    files: Mapping[Path, Object],
    exceptions: Sequence[Exemption],
    today: date,
) -> tuple[Mapping[Path, Sequence[str]], Sequence[str]]:
    """Return what is left to say of each file, and of the exceptions: those that hide nothing, or are over."""
    used = set()
    left: dict[Path, list[str]] = {}
    for path, findings in found.items():
        name = name_of(files[path])
        for number, message in findings:
            hiding = [each for each in exceptions if each.id == number and _is_about(each, name)]
            used |= {id(each) for each in hiding}
            if not hiding:
                left.setdefault(path, []).append(f"{number}: {message}")
    wrong = [f"{each.id}: this exception hides nothing" for each in exceptions if id(each) not in used]
    wrong += [
        f"{each.id}: this exception was until {each.until}" for each in exceptions if each.until and each.until < today
    ]
    return left, wrong


def _is_about(exemption: Exemption, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in exemption.objects)
