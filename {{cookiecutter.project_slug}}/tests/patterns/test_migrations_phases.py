"""docs/migrations.md: a column is replaced while two releases are at work, by the statements that are on the page."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns import migrations
from app.patterns.migrations import MigrationSettings
from dev.environment import ROOT
from tests.support.eventually import eventually
from tests.support.migrations import empty_folder, write_migration

pytestmark = pytest.mark.schema
_BLOCK = re.compile(r"^```sql (\w+ \w+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
PAGE = dict(_BLOCK.findall((ROOT / "docs" / "migrations.md").read_text()))
BEFORE = "CREATE TABLE parcel (id bigint PRIMARY KEY, weight_g bigint NOT NULL)"
ROWS_BEFORE = 3_000  # more than one batch of the job
OPERATIONS = 50  # that each release gets done in each phase


class Release:
    """Processes of one release: they write parcels and read anybody's, and know what must come out."""

    def __init__(self, number: int, engine: AsyncEngine, ids: Iterator[int], written: dict[int, int]) -> None:
        self.done = 0
        self._statements = [text(part) for part in PAGE[f"code {number}"].split(";")]
        self._engine = engine
        self._ids = ids
        self._written = written

    async def work(self) -> None:
        """Write a parcel and read another, old or new, again and again."""
        write, read = self._statements
        for parcel in self._ids:
            async with self._engine.begin() as connection:
                await connection.execute(write, {"id": parcel, "grams": parcel % 1_000})
            self._written[parcel] = parcel % 1_000
            known = list(self._written)
            other = known[self.done % 10] if self.done % 2 else known[-1 - self.done % 10]
            async with self._engine.connect() as connection:
                assert await connection.scalar(read, {"id": other}) == self._written[other]
            self.done += 1


class Rollout:
    """A table, the migrations of the page, and releases that replace one another."""

    def __init__(self, engine: AsyncEngine, settings: MigrationSettings) -> None:
        self._engine = engine
        self._settings = settings
        self.written = {parcel: parcel % 1_000 for parcel in range(1, ROWS_BEFORE + 1)}
        self._ids = itertools.count(ROWS_BEFORE + 1)

    @asynccontextmanager
    async def running(self, *numbers: int) -> AsyncIterator[None]:
        """Let these releases work side by side, until the body is through and each has got something done after it."""
        releases = [Release(number, self._engine, self._ids, self.written) for number in numbers]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(release.work()) for release in releases]
            yield
            done = [release.done for release in releases]
            await eventually(
                lambda: all(release.done >= before + OPERATIONS for release, before in zip(releases, done, strict=True))
            )
            for task in tasks:
                task.cancel()

    async def migrate(self, name: str) -> None:
        """Apply a migration of the page."""
        await migrations.upgrade(self._engine, self._settings, name)

    async def apply(self, name: str) -> None:
        """Run the statements of a migration, whatever should have come before it."""
        async with self._engine.begin() as connection:
            for statement in PAGE[f"migration {name}"].split(";"):
                await connection.execute(text(statement))

    async def move(self) -> int:
        """Run the job to its end, and return how many batches it took."""
        for batches in itertools.count():
            async with self._engine.begin() as connection:
                if (await connection.execute(text(PAGE["job 2"]))).rowcount == 0:
                    return batches
        raise AssertionError


@pytest.fixture
def settings(tmp_path: Path) -> MigrationSettings:
    """Return settings for the migrations of the page, after the one that made the table."""
    names = ["1", *(title.removeprefix("migration ") for title in PAGE if title.startswith("migration"))]
    for name, before, sql in zip(
        names, [None, *names], [BEFORE, *(PAGE[f"migration {n}"] for n in names[1:])], strict=False
    ):
        write_migration(tmp_path, name, before, sql)
    return empty_folder(tmp_path).model_copy(update={"attempts": 200})


@pytest.fixture
async def rollout(empty: AsyncEngine, settings: MigrationSettings) -> Rollout:
    """Return the state before: release 1's table with its rows."""
    rollout = Rollout(empty, settings)
    await rollout.migrate("1")
    rows: Sequence[dict[str, int]] = [{"id": id_, "grams": grams} for id_, grams in rollout.written.items()]
    async with empty.begin() as connection:
        await connection.execute(text("INSERT INTO parcel (id, weight_g) VALUES (:id, :grams)"), rows)
    return rollout


async def test_nobody_notices_when_each_step_has_its_release(empty: AsyncEngine, rollout: Rollout) -> None:
    """No statement of any release fails or reads something else than was written, and no row is lost."""
    async with rollout.running(1):
        await rollout.migrate("2")
    async with rollout.running(1, 2):
        pass
    async with rollout.running(2):
        assert await rollout.move() > 1
        await rollout.migrate("3b")
    async with rollout.running(2, 3):
        pass
    async with rollout.running(3):
        await rollout.migrate("4")

    async with empty.connect() as connection:
        found = {row.id: row.weight_mg // 1000 for row in await connection.execute(text("SELECT * FROM parcel"))}
    assert found | rollout.written == found  # of one that was cancelled, nobody knows


@pytest.mark.parametrize(
    ("applied", "at_work", "error"),
    [
        pytest.param(["2", "4"], [2], 'column "weight_g"', id="contracted while release 2 writes"),
        pytest.param(["2", "3a"], [1, 2], "parcel_weight_mg_there", id="required while release 1 writes"),
        pytest.param(["2"], [3], 'null value in column "weight_g"', id="release 3 before its migration"),
    ],
)
async def test_a_step_too_early_is_noticed(
    rollout: Rollout, applied: list[str], at_work: list[int], error: str
) -> None:
    """By the release for which it is too early: the steps are not there for their own sake."""
    for name in applied:
        await rollout.apply(name)
    with pytest.raises(ExceptionGroup) as failed:
        async with rollout.running(*at_work):
            pass

    assert failed.group_contains(DBAPIError, match=error)


async def test_reading_what_has_not_been_moved_is_noticed(rollout: Rollout) -> None:
    """Release 3 on rows that the job has not reached reads nothing."""
    await rollout.apply("2")
    await rollout.apply("3a")
    with pytest.raises(ExceptionGroup) as failed:
        async with rollout.running(3):
            pass

    assert failed.group_contains(AssertionError)


def test_the_linter_accepts_the_page(settings: MigrationSettings) -> None:
    """Every migration on it, as it stands there."""
    assert migrations.lint(migrations.all_steps(settings), settings) == []
