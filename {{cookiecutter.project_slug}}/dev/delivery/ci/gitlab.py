"""GitLab CI: files held against their schema, and put together as GitLab does; Renovate's file against its schema."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from dev import npm
from dev.delivery.linters import Job, NotLooked, lines, schema_errors

TOKEN = "ISSUES_TOKEN"
"""The variable that a job needs to open issues, beside those that it always has: a token of the project."""
_FILES = (".gitlab-ci.yml", ".gitlab/*.yml")
_PROGRAM = "gitlab-ci-local@4.75.1"
_SECONDS = 60
_LONGEST = 200  # of a message
_NO_JOBS = {"workflow", "stages", "include", "default", "variables"}


def jobs(root: Path) -> Iterator[Job]:
    """Yield the jobs of all files together: what a hidden one has, those that extend it have."""
    files = [yaml.safe_load(path.read_text()) for pattern in _FILES for path in sorted(root.glob(pattern))]
    known = {name: job for content in files for name, job in content.items() if name not in _NO_JOBS}
    for name, own in known.items():
        if not name.startswith("."):
            job = _extended(own, known)
            commands = [
                line for part in ("script", "after_script") for each in job.get(part, []) for line in lines(each)
            ]
            may_fail = any(each.get("allow_failure") for each in (job, *job.get("rules", [])))
            yield Job(name, commands, _minutes(job.get("timeout")), may_fail, _may_release(job))


def _may_release(job: Mapping[str, Any]) -> bool:
    """Return whether a job is in an environment, and waits for the stage `check`: it does, unless it says otherwise."""
    ways = {each.get("when") for each in (job, *job.get("rules", []))}
    return job.get("stage") != "check" and "needs" not in job and "always" not in ways and "environment" in job


def _minutes(timeout: str | None) -> float | None:
    """Return how long `3 hours 30 minutes` is; None if it is not written like that."""
    found = re.findall(r"(\d+) (hour|minute)s?", timeout or "")
    return sum(int(count) * (60 if unit == "hour" else 1) for count, unit in found) or None


def _extended(job: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    parents = job.get("extends", [])
    whole: dict[str, Any] = {}
    for parent in [parents] if isinstance(parents, str) else parents:
        whole |= _extended(known.get(parent, {}), known)
    return whole | dict(job)


def look(root: Path) -> Iterator[str]:
    """Yield what is wrong, a line each."""
    yield from look_at_schemas(root)
    yield from _floating_images(root)
    try:
        if (root / ".gitlab-ci.yml").exists():
            when(root)
    except NotLooked as exc:
        yield f".gitlab-ci.yml: {exc}"


def look_at_schemas(root: Path) -> Iterator[str]:
    """Yield what the schemas say, also of what is no YAML."""
    yield from schema_errors(root, "vendor.gitlab-ci", *_FILES)
    yield from schema_errors(root, "vendor.renovate", "renovate.json")


def when(root: Path, **variables: str) -> dict[str, str]:
    """Return the jobs of a pipeline with these variables, each with when it begins; `never` are those that it has not.

    Raises:
        NotLooked: no pipeline can be made of these files; the message says why.
        ToolMissing: the program that does as GitLab would is not here, and cannot be had.
    """
    program = npm.installed(_PROGRAM) / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"
    given = [word for name, value in variables.items() for word in ("--variable", f"{name}={value}")]
    known = [word for name in variables for word in ("--ignore-predefined-vars", name)]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(root / ".gitlab-ci.yml", folder)
        if (root / ".gitlab").exists():
            shutil.copytree(root / ".gitlab", Path(folder, ".gitlab"), ignore=shutil.ignore_patterns("*.aws.yml"))
        for words in (["init", "--quiet"], ["add", "."]):  # it includes what git has
            subprocess.run(["git", *words], cwd=folder, check=True, timeout=_SECONDS)
        command: list[str | Path] = [npm.node(), program, "--list-json", "--no-color", *given, *known]
        env = {**os.environ, "HOME": folder, "LC_ALL": "C"}  # where it looks for variables
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    if done.returncode:
        said = done.stderr.rpartition("No such remote 'origin'")[2]  # before that it misses what this copy has not
        raise NotLooked(" ".join(said.split())[:_LONGEST])
    return {job["name"]: job["when"] for job in json.loads(done.stdout)}


def _floating_images(root: Path) -> Iterator[str]:
    """Renovate adds digests to what has a version, and cannot know which one `latest` was."""
    for pattern in _FILES:
        for path in sorted(root.glob(pattern)):
            for name, job in yaml.safe_load(path.read_text()).items():
                for image in _images(job):
                    if ":" not in image or image.endswith(":latest"):
                        yield f"{path.relative_to(root)}: {name}: {image} has no version"


def _images(job: object) -> Iterator[str]:
    if isinstance(job, Mapping):
        for part in (job.get("image"), *job.get("services", [])):
            name = part.get("name") if isinstance(part, Mapping) else part
            if name:
                yield str(name)


def open_issue(title: str, text: str) -> str | None:
    """Open an issue in the project that this job runs for, unless one with this title is open; return its address.

    Raises:
        httpx.HTTPError: it could not be opened.
    """
    url = f"{os.environ['CI_API_V4_URL']}/projects/{os.environ['CI_PROJECT_ID']}/issues"
    with httpx.Client(headers={"PRIVATE-TOKEN": os.environ[TOKEN]}, timeout=30) as client:
        wanted = {"state": "opened", "search": title, "in": "title"}
        found = client.get(url, params=wanted).raise_for_status().json()
        if title in [issue["title"] for issue in found]:
            return None
        return str(client.post(url, json={"title": title, "description": text}).raise_for_status().json()["web_url"])


def this_run() -> tuple[str, str] | None:
    """Return which runner this is, and the address of its job; None outside of one."""
    env = os.environ
    if "CI_JOB_URL" not in env:
        return None
    return f"{env['CI_PROJECT_URL']}/-/runners/{env['CI_RUNNER_ID']}", env["CI_JOB_URL"]
