"""GitHub Actions: workflows held against their schema, actionlint and zizmor; Dependabot's file against its schema."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from dev.delivery.linters import Job, NotLooked, lines, parsed, schema_errors
from dev.delivery.tools import find, run

TOKEN = "GITHUB_TOKEN"
"""The variable that a job needs to open issues, beside those that it always has."""
_PASSES_ON = '>> "$GITHUB_OUTPUT"'
_WORKFLOWS = ".github/workflows/*.yml"
_CHECK = "/.github/workflows/check.yml"


def jobs(root: Path) -> Iterator[Job]:
    """Yield the jobs of all workflows; one that calls another workflow has none of its own."""
    for path in sorted(root.glob(_WORKFLOWS)):
        known = yaml.safe_load(path.read_text())["jobs"]
        for name, job in known.items():
            if "uses" not in job:
                commands = [line for step in job["steps"] for line in lines(step.get("run", ""))]
                commands = [line for line in commands if not line.endswith(_PASSES_ON)]
                may_fail = any(_may_fail(each) for each in (job, *job["steps"]))
                may_release = "environment" in job and _is_after_checks(name, known)
                yield Job(f"{path.stem}/{name}", commands, job.get("timeout-minutes"), may_fail, may_release)


def _may_fail(part: Mapping[str, Any]) -> bool:
    """Return whether a job or a step says so, or has a shell of its own, which goes on after a command that failed."""
    return bool(part.get("continue-on-error")) or "{0}" in part.get("shell", "")


def _is_after_checks(name: str, known: Mapping[str, Any]) -> bool:
    """Return whether a job needs the workflow `check`, itself or by others, and no condition says: even if it fails."""
    job = known.get(name, {})
    if re.search(r"(always|failure|cancelled)\(", str(job.get("if", ""))):
        return False
    needs = job.get("needs", [])
    needed = [needs] if isinstance(needs, str) else needs
    return job.get("uses", "").endswith(_CHECK) or any(_is_after_checks(each, known) for each in needed)


def look(root: Path) -> Iterator[str]:
    """Yield what the linters say, a line each."""
    yield from schema_errors(root, "vendor.github-workflows", _WORKFLOWS)
    yield from schema_errors(root, "vendor.github-actions", ".github/actions/*/action.yml")
    yield from schema_errors(root, "vendor.dependabot", ".github/dependabot.yml")
    yield from _digests_alone(root)
    yield from _actionlint(root)
    yield from _zizmor(root)


def _digests_alone(root: Path) -> Iterator[str]:
    """What Dependabot keeps fresh, it finds by the version behind the digest; so does a reader."""
    for path in sorted(root.glob(".github/**/*.yml")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"uses: .*@[0-9a-f]{40}(?! # v\d)", line):
                yield f"{path.relative_to(root)}:{number}: the digest says no version"


def _actionlint(root: Path) -> Iterator[str]:
    files = sorted(str(path.relative_to(root)) for path in root.glob(_WORKFLOWS))
    options = ("-no-color", "-oneline", "-pyflakes=", f"-shellcheck={find('shellcheck')}")
    with tempfile.TemporaryDirectory() as folder:
        # It takes the folder with `.git` for the root, where a workflow's reference to another begins.
        shutil.copytree(root / ".github", Path(folder, ".github"))
        Path(folder, ".git").mkdir()
        done = run("actionlint", *options, *files, cwd=Path(folder))
    if done.returncode not in {0, 1}:
        raise NotLooked(done.stderr)
    yield from done.stdout.splitlines()


def _zizmor(root: Path) -> Iterator[str]:
    options = ("--offline", "--persona=pedantic", "--no-progress", "--strict-collection", "--format=json-v1")
    done = run("zizmor", *options, ".github", cwd=root)
    for finding in parsed(done.stdout, done.stderr):
        place = finding["locations"][0]
        path = place["symbolic"]["key"]["Local"]["verbatim_path"]
        line = place["concrete"]["location"]["start_point"]["row"] + 1
        yield f"{path}:{line}: {finding['desc']} [{finding['ident']}]"


def open_issue(title: str, text: str) -> str | None:
    """Open an issue in the repository that this job runs for, unless one with this title is open; return its address.

    Raises:
        httpx.HTTPError: it could not be opened.
    """
    url = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    headers = {"Authorization": f"Bearer {os.environ[TOKEN]}"}
    with httpx.Client(headers=headers, timeout=30) as client:
        found = client.get(url, params={"state": "open", "per_page": 100}).raise_for_status().json()
        if title in [issue["title"] for issue in found]:
            return None
        return str(client.post(url, json={"title": title, "body": text}).raise_for_status().json()["html_url"])


def this_run() -> tuple[str, str] | None:
    """Return which workflow this is a run of, and its address; None outside of one."""
    env = os.environ
    if "GITHUB_RUN_ID" not in env:
        return None
    run = f"{env['GITHUB_REPOSITORY']}/actions/runs/{env['GITHUB_RUN_ID']}/attempts/{env['GITHUB_RUN_ATTEMPT']}"
    return f"{env['GITHUB_SERVER_URL']}/{env['GITHUB_WORKFLOW_REF']}", f"{env['GITHUB_SERVER_URL']}/{run}"
