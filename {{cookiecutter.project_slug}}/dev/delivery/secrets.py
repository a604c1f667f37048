"""Is there a secret in the repository? In the files that are here, and in every version that git has of any file.

    python -m dev.delivery.secrets [--since origin/main]

A secret that was committed is known to whoever has a clone, whether or not a later commit took it out: replace it, as
docs/supply-chain.md says. Exit status: 0 none, 1 some, 2 it could not be looked.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.delivery.tools import ToolMissing, run
from dev.environment import ROOT

RULES = ROOT / "deploy/scan/secrets.yaml"
_SECONDS = 600


class NotLooked(Exception):
    """It is not known whether there is a secret; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class Secret:
    """Where one is."""

    path: str
    line: int
    rule: str
    commit: str
    """The first that had it; empty if it is not in git yet."""

    def __str__(self) -> str:
        path = self.path.encode(errors="backslashreplace").decode()  # git has names that are no text
        return f"{path}:{self.line}: {self.rule} ({f'since {self.commit}' if self.commit else 'not committed'})"


def look(repository: Path, since: str | None = None) -> list[Secret]:
    """Return the secrets in the files of `repository`, and in what git has of it, or has since `since`.

    Raises:
        NotLooked: it is no repository of git, or has no history, `since` is no commit, or trivy did not do its work.
        ToolMissing: trivy is not installed.
    """
    if since is None and _git(repository, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise NotLooked("this clone has no history: git fetch --unshallow")
    places: list[tuple[str, str]] = []  # of copies, by their number: a name would tell trivy what to pass over
    with tempfile.TemporaryDirectory() as folder:
        for path, version, content in (*_here(repository), *_versions(repository, since)):
            Path(folder, str(len(places))).write_bytes(content)
            places.append((path, version))
        found = {_secret(repository, *places[copy], line, rule) for copy, line, rule in _scan(Path(folder))}
    committed = {(secret.path, secret.rule) for secret in found if secret.commit}
    return sorted(secret for secret in found if secret.commit or (secret.path, secret.rule) not in committed)


def _here(repository: Path) -> Iterator[tuple[str, str, bytes]]:
    for name in _git(repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(b"\0"):
        path = os.fsdecode(name)
        if path and (repository / path).is_file():
            yield path, "", (repository / path).read_bytes()


def _versions(repository: Path, since: str | None) -> Iterator[tuple[str, str, bytes]]:
    """Yield path, name and content of whatever git has, each content once."""
    # In full: without it, a branch that added something and took it back before it was merged is passed over.
    which = ["--full-history", *([f"{since}..HEAD"] if since else ["--all"])]
    listed = _git(repository, "rev-list", "--objects", *which, "--", ".")
    paths = dict(line.split(" ", 1) for line in os.fsdecode(listed).splitlines() if " " in line)
    with tempfile.TemporaryFile() as names:
        names.write("\n".join(paths).encode())
        names.seek(0)
        command = ["git", "cat-file", "--batch"]
        with subprocess.Popen(command, cwd=repository, stdin=names, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for head in process.stdout:
                name, kind, size = head.decode().split()
                content = process.stdout.read(int(size) + 1)[:-1]
                if kind == "blob":
                    yield paths[name], name, content


def _scan(folder: Path) -> Iterator[tuple[int, int, str]]:
    options = ("--scanners", "secret", "--secret-config", str(RULES), "--format", "json", "--quiet")
    quiet = ("--skip-version-check", "--disable-telemetry")
    done = run("trivy", "fs", *options, *quiet, str(folder), seconds=_SECONDS)
    if done.returncode:
        raise NotLooked(done.stderr.strip() or f"trivy ended with {done.returncode}")
    for result in json.loads(done.stdout).get("Results", []):
        for secret in result.get("Secrets", []):
            yield int(result["Target"]), int(secret["StartLine"]), secret["RuleID"]


def _secret(repository: Path, path: str, version: str, line: int, rule: str) -> Secret:
    if not version:
        return Secret(path, line, rule, "")
    # Merges, too: what settles a conflict is in no other commit.
    commits = _git(repository, "log", "--all", "-m", "--format=%h", f"--find-object={version}", "--reverse")
    return Secret(path, line, rule, commits.decode().split()[0])


def _git(repository: Path, *words: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["git", *words], cwd=repository, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise NotLooked(done.stderr.decode().strip() or f"git {words[0]} ended with {done.returncode}")
    return done.stdout


def main(words: Sequence[str] | None = None) -> int:
    """Print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dev.delivery.secrets", description=__doc__)
    parser.add_argument("--since", help="only what was committed after this, such as origin/main")
    try:
        found = look(ROOT, parser.parse_args(words).since)
    except (NotLooked, ToolMissing) as exc:
        print(f"secrets: not looked: {exc}", file=sys.stderr)
        return 2
    for secret in found:
        print(secret)
    print(f"secrets: {len(found)} found" if found else "secrets: none")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
