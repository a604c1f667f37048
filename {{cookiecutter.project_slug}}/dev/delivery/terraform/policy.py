"""What trivy finds in the description but for what is explained, and what lacks `prevent_destroy`."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev.delivery import tools
from dev.delivery.terraform.stateful import GUARD_ALONE, STATELESS

EXCEPTIONS = "policy-exceptions.toml"
_TRIVY = ("config", "--skip-check-update", "--skip-version-check", "--disable-telemetry", "--quiet", "--format", "json")
_RESOURCE = re.compile(r'^resource "(?P<type>\w+)" "(?P<name>\w+)" \{\n(?P<body>.*?)^\}$', re.MULTILINE | re.DOTALL)


class NothingChecked(Exception):
    """Trivy found nothing because it looked at nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One rule that is broken in one file."""

    file: str
    rule: str
    title: str


def mistakes(folder: Path) -> Iterator[str]:
    """Yield a line for each mistake in a folder, for each exception that hides nothing, and for each without a reason.

    Raises:
        ToolMissing: trivy is not installed.
    """
    found = findings(folder)
    excepted = tomllib.loads((folder / EXCEPTIONS).read_text()).get("exception", [])
    hidden = {(entry["file"], entry["rule"]) for entry in excepted}
    for finding in found:
        if (finding.file, finding.rule) not in hidden:
            yield f"{finding.file}: {finding.rule}: {finding.title}"
    for entry in excepted:
        if not entry.get("reason", "").strip():
            yield f"{EXCEPTIONS}: {entry['rule']} in {entry['file']} has no reason"
        if (entry["file"], entry["rule"]) not in {(finding.file, finding.rule) for finding in found}:
            yield f"{EXCEPTIONS}: {entry['rule']} in {entry['file']} hides nothing: take it out"
    yield from unprotected(folder)


def findings(folder: Path) -> list[Finding]:
    """Return what trivy finds.

    Raises:
        ToolMissing: it is not installed.
        NothingChecked: it has not looked at anything, or not said at what.
    """
    said = tools.run("trivy", *_TRIVY, ".", cwd=folder)
    results = json.loads(said.stdout).get("Results", []) if said.returncode == 0 else []
    if sum(result.get("MisconfSummary", {}).get("Successes", 0) for result in results) == 0:
        raise NothingChecked(f"trivy has checked nothing: {said.stderr.strip() or folder}")
    return sorted(
        {
            Finding(result["Target"], found["ID"], found["Title"])
            for result in results
            for found in result.get("Misconfigurations", [])
        }
    )


def unprotected(folder: Path) -> Iterator[str]:
    """Yield each resource that holds data and could be destroyed by a plan. A replica holds nothing of its own."""
    for path in sorted(folder.rglob("*.tf")):
        if ".terraform" in path.parts:
            continue
        for found in _RESOURCE.finditer(path.read_text()):
            protected = re.search(r"^    prevent_destroy = true\b", found["body"], re.MULTILINE)
            replica = re.search(r"^  replicate_source_db\b", found["body"], re.MULTILINE)
            if found["type"] not in STATELESS | GUARD_ALONE and not protected and not replica:
                yield f"{path.relative_to(folder)}: {found['type']}.{found['name']} has no prevent_destroy"
