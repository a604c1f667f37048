"""dev/compat.py: a migration that the release before cannot live with is found by that release's own tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.patterns.migrations import MigrationSettings, revisions
from dev.environment import ROOT
from tests.support.migrations import write_migration

TESTS = "tests/orders/test_service.py::test_an_authorised_order_is_placed_and_announced"  # one of minutes' worth


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository of the service with one release, `v1`."""
    root = tmp_path / "service"
    unneeded = shutil.ignore_patterns(".*", "__pycache__", "docs", "ops")
    shutil.copytree(ROOT, root, ignore=unneeded)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "the release before")
    git(root, "tag", "v1")
    return root


def test_a_schema_that_expands_is_fine(repository: Path) -> None:
    """A column that old code does not name, and a table that it does not know."""
    change(repository, "ALTER TABLE orders ADD COLUMN note text; CREATE TABLE parcel (id bigint PRIMARY KEY)")

    ended = compat(repository)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "The code of v1 works on this schema." in ended.stdout
    assert " passed" in ended.stdout


def test_before_the_first_release_there_is_nothing_to_break(repository: Path) -> None:
    """A pipeline is green on the day the service is born."""
    git(repository, "tag", "--delete", "v1")

    ended = compat(repository)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "There is no release before this one: git has no tag.\n"


def test_a_clone_without_history_is_not_the_first_release(repository: Path, tmp_path: Path) -> None:
    """A pipeline fetches neither history nor tags, unless it is told to."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--no-tags", "--depth", "1", f"file://{repository}", str(clone))

    ended = compat(clone)

    assert ended.returncode == 1
    assert "This clone has no history" in ended.stderr


@pytest.mark.parametrize(
    "contraction",
    [
        "ALTER TABLE orders RENAME COLUMN currency TO currency_code",
        "ALTER TABLE orders ADD COLUMN channel text NOT NULL",
        "ALTER TABLE orders ALTER COLUMN version TYPE text",
        "DROP TABLE audit_log",
    ],
    ids=["renamed", "required", "other type", "dropped"],
)
def test_a_schema_that_contracts_is_found(repository: Path, contraction: str) -> None:
    """By the tests of the release whose processes are still there when it is applied."""
    change(repository, contraction)

    ended = compat(repository)

    assert ended.returncode == 1
    assert "failed" in ended.stdout
    assert "The code of v1 does not work on this schema" in ended.stderr


@pytest.mark.parametrize("deleted", [False, True], ids=["edited", "deleted"])
def test_a_released_migration_stays_as_it_is(repository: Path, deleted: bool) -> None:  # noqa: FBT001 - a parameter
    """What has been applied somewhere will not be applied again."""
    file = repository / "migrations" / "versions" / "0003_orders.py"
    if deleted:
        file.unlink()
    else:
        file.write_text(file.read_text().replace("total_minor > 0", "total_minor >= 0"))

    ended = compat(repository)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "v1 has these migrations, and they have changed since: 0003_orders\n"


def test_without_a_new_migration_nothing_is_run(repository: Path) -> None:
    """A comment in an old one is no change."""
    file = repository / "migrations" / "versions" / "0003_orders.py"
    file.write_text(f"{file.read_text()}\n# A remark.\n")

    ended = compat(repository)

    assert (ended.returncode, ended.stdout) == (0, "No migration is newer than v1: its code knows this schema.\n")


def test_a_release_that_is_not_there_is_named(repository: Path) -> None:
    """In git's own words."""
    ended = compat(repository, "v7")

    assert ended.returncode == 1
    assert "v7" in ended.stderr


def change(root: Path, sql: str) -> None:
    """Add a migration behind the newest."""
    newest = revisions(MigrationSettings(folder=root / "migrations"))[0]
    write_migration(root / "migrations", "9999_change", newest, sql)


def compat(root: Path, *ref: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the repository, on one of the tests."""
    return subprocess.run(
        [sys.executable, "-m", "dev.compat", *ref, "--jobs", "0", "--tests", TESTS],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def git(root: Path, *arguments: str) -> None:
    """Run git there, as nobody in particular and without anybody's settings."""
    identity = {
        f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], cwd=root, env={**os.environ, **identity, **alone}, check=True)
