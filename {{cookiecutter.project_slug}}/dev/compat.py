"""The release before, on the schema of this one: its code and its tests, with the migrations that are here.

While a release rolls out, processes of the one before work on its schema. So this takes REF out of git, adds the
migrations that REF does not have, and runs REF's own tests; those that say what the schema is, and not what the code
needs of it, are marked `schema` and left out. A migration that REF has and that has changed since is refused at once:
a database that has it will never get the change.
"""

import argparse
import ast
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from dev.environment import ROOT

_VERSIONS = Path("migrations/versions")
_NOT_ABOUT_THE_DATABASE = {"architecture", "dev", "kit", "ops", "support"}


def changed_since(release: Path) -> list[str]:
    """Return the migrations of the unpacked release that are not the same here, or not here at all."""
    return [file.stem for file in _migrations(release) if _code(ROOT / _VERSIONS / file.name) != _code(file)]


def added_to(release: Path) -> list[str]:
    """Copy the migrations that are only here into the unpacked release, and return their names."""
    known = {file.name for file in _migrations(release)}
    new = [file for file in _migrations(ROOT) if file.name not in known]
    for file in new:
        shutil.copy(file, release / _VERSIONS)
    return [file.stem for file in new]


def unpack(ref: str, folder: Path) -> None:
    """Put the service as it was at `ref` into `folder`, without a trace in the repository."""
    packed = _git("archive", "--format=tar", ref)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def _tests(release: Path) -> list[str]:
    folders = (path.name for path in (release / "tests").iterdir() if path.is_dir() and not path.name.startswith("_"))
    return [f"tests/{name}" for name in sorted(folders) if name not in _NOT_ABOUT_THE_DATABASE]


def _migrations(root: Path) -> list[Path]:
    return sorted((root / _VERSIONS).glob("*.py"))


def _code(file: Path) -> str | None:
    """Return what a migration does, whatever its comments say."""
    return ast.dump(ast.parse(file.read_bytes())) if file.exists() else None


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"git {arguments[0]}: {done.stderr.decode().strip().splitlines()[-1]}")
    return done.stdout


def _main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m dev.compat", description=__doc__)
    arguments.add_argument("ref", nargs="?", help="the release before; by default the newest tag")
    arguments.add_argument("--jobs", default="auto", help="processes that run tests")
    arguments.add_argument("--tests", nargs="+", help="which of its tests; by default all that use the database")
    given = arguments.parse_args()
    if not given.ref and _git("rev-parse", "--is-shallow-repository").strip() == b"true":
        sys.exit(
            "This clone has no history, and so perhaps not the tag of the release before: git fetch --unshallow --tags"
        )
    if not given.ref and not _git("tag").strip():
        print("There is no release before this one: git has no tag.")
        return
    ref: str = given.ref or _git("describe", "--tags", "--abbrev=0").decode().strip()
    with tempfile.TemporaryDirectory(prefix="compat-") as folder:
        release = Path(folder)
        unpack(ref, release)
        if changed := changed_since(release):
            sys.exit(f"{ref} has these migrations, and they have changed since: {', '.join(changed)}")
        new = added_to(release)
        if not new:
            print(f"No migration is newer than {ref}: its code knows this schema.")
            return
        print(f"Running the tests of {ref} with {', '.join(new)}.", flush=True)
        path = os.pathsep.join((str(release / "src"), str(release)))  # before the code that is installed
        command = [sys.executable, "-m", "pytest", "-q", "-n", given.jobs, "-m", "not schema"]
        done = subprocess.run(
            [*command, *(given.tests or _tests(release))],
            cwd=release,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
    if done.returncode == pytest.ExitCode.TESTS_FAILED:
        sys.exit(f"The code of {ref} does not work on this schema. Expand in this release, contract in a later one.")
    if done.returncode:
        sys.exit(f"The tests of {ref} could not be run, see above.")
    print(f"The code of {ref} works on this schema.")


if __name__ == "__main__":
    _main()
