"""GitLab CI: files held against their schema, and Renovate's file against its own."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from dev.delivery.linters import Job, lines, schema_errors

TOKEN = "ISSUES_TOKEN"
"""The variable that a job needs to open issues, beside those that it always has: a token of the project."""
_FILES = (".gitlab-ci.yml", ".gitlab/*.yml")
_NO_JOBS = {"workflow", "stages", "include", "default", "variables"}


def jobs(root: Path) -> Iterator[Job]:
    """Yield the jobs of all files together: what a hidden one has, those that extend it have."""
    files = [yaml.safe_load(path.read_text()) for pattern in _FILES for path in sorted(root.glob(pattern))]
    known = {name: job for content in files for name, job in content.items() if name not in _NO_JOBS}
    for name, own in known.items():
        if not name.startswith("."):
            job = _extended(own, known)
            commands = [line for command in job.get("script", []) for line in lines(command)]
            yield Job(name, commands, "timeout" in job)


def _extended(job: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    parents = job.get("extends", [])
    whole: dict[str, Any] = {}
    for parent in [parents] if isinstance(parents, str) else parents:
        whole |= _extended(known[parent], known)
    return whole | dict(job)


def look(root: Path) -> Iterator[str]:
    """Yield what is wrong, a line each."""
    yield from look_at_schemas(root)
    yield from _floating_images(root)


def look_at_schemas(root: Path) -> Iterator[str]:
    """Yield what the schemas say, also of what is no YAML."""
    yield from schema_errors(root, "vendor.gitlab-ci", *_FILES)
    yield from schema_errors(root, "vendor.renovate", "renovate.json")


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
