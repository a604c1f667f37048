"""`app migrate`, as the operator runs it: a process of its own on a real PostgreSQL."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.kit.db import DatabaseSettings, create_engine
from app.patterns import migrations
from dev.environment import APP, ROOT, Addresses, machine_variables, variables
from dev.postgres import PostgreSQL
from tests.support.migrations import SETTINGS, empty_folder, write_migration

pytestmark = pytest.mark.schema

HEAD = migrations.revisions(SETTINGS)[0]
PRODUCTION = {
    "APP_ENV": "production",
    "APP_AUTHENTICATION__ISSUER": "https://issuer.example",
    "APP_AUTHENTICATION__JWKS_URL": "https://issuer.example/jwks",
}


class Operator:
    """Somebody at a terminal, with a database of their own and a folder of migrations."""

    def __init__(self, postgres: PostgreSQL, folder: Path) -> None:
        self._postgres, self.folder = postgres, folder
        self.database = f"operated_{uuid4().hex}"
        self._env = variables(
            Addresses(
                database_url=postgres.url(self.database),
                broker_url="nats://127.0.0.1:1",
                payments_url="http://127.0.0.1:1",
                jwks_url="http://127.0.0.1:1",
                http_port=0,
                worker_port=0,
            )
        )

    async def app(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        """Run `app migrate ...` and return exit status, standard output and standard error."""
        folder = {"APP_MIGRATIONS__FOLDER": str(self.folder)}
        process = await asyncio.create_subprocess_exec(
            *(*APP, "migrate", *arguments),
            cwd=ROOT,
            env={**machine_variables(), **self._env, **folder, **env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), timeout=60)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def migrate(self) -> None:
        """Bring the schema to the newest revision, in this process."""
        url = DatabaseSettings.model_validate({"url": self._postgres.url(self.database)})
        engine = create_engine(url, application_name="test")
        await migrations.upgrade(engine, SETTINGS.model_copy(update={"folder": self.folder}))
        await engine.dispose()

    def sql(self, statement: str) -> str:
        """Run a statement in the database."""
        return self._postgres.execute(statement, database=self.database)


@pytest.fixture
def operator(postgres: PostgreSQL) -> Iterator[Operator]:
    """Yield an operator with an empty database and the service's own migrations."""
    operator = Operator(postgres, ROOT / "migrations")
    postgres.create_database(operator.database)
    yield operator
    postgres.drop_database(operator.database)


@pytest.fixture
def author(operator: Operator, tmp_path: Path) -> Operator:
    """Return an operator whose migrations are written by the test, after a first one with a table."""
    empty_folder(tmp_path)
    write_migration(tmp_path, "1", None, "CREATE TABLE t (id bigint)", undo="DROP TABLE t")
    operator.folder = tmp_path
    return operator


@pytest.mark.parametrize("arguments", [[], ["up"]], ids=["app migrate", "app migrate up"])
async def test_up_goes_to_the_newest_revision(operator: Operator, arguments: list[str]) -> None:
    """What deployments call, with the word and without it; the second time nothing is left to do."""
    code, out, err = await operator.app(*arguments)
    again, out_again, _ = await operator.app(*arguments)

    told, told_again = (json.loads(text.splitlines()[-1]) for text in (out, out_again))
    assert (code, again, err) == (0, 0, "")
    assert (told["event"], told["revision"]) == ("migrations.finished", HEAD)
    assert (told_again["event"], told_again["revision"]) == ("migrations.up_to_date", HEAD)


async def test_an_owner_without_any_other_right_can_migrate(operator: Operator, postgres: PostgreSQL) -> None:
    """A login that owns the database, where somebody else has made the service's roles: it makes no role itself."""
    owner = f"owner_{uuid4().hex}"
    await operator.migrate()  # as a superuser, in another database: roles are the server's
    operator.sql(f"CREATE ROLE {owner} LOGIN")
    postgres.drop_database(operator.database)
    postgres.create_database(operator.database)
    operator.sql(f"ALTER DATABASE {operator.database} OWNER TO {owner}")
    url = postgres.url(operator.database).replace("postgres@", f"{owner}@", 1)

    code, out, err = await operator.app("up", APP_MIGRATIONS__DATABASE_URL=url)

    assert (code, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["event"] == "migrations.finished"
    assert operator.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'") == owner


async def test_the_plan_is_what_up_would_run(operator: Operator) -> None:
    """The plan is SQL: run by psql on another day it makes what `up` makes; nothing has happened before."""
    code, out, _ = await operator.app("plan")
    tables = operator.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    operator.sql(out)
    after, out_after, _ = await operator.app("plan")

    assert (code, tables) == (0, "0")
    assert "SET lock_timeout = '1000ms';" in out
    assert operator.sql("SELECT version_num FROM alembic_version") == HEAD
    assert (after, out_after) == (0, f"-- The schema is at {HEAD}; 0 pending.\n")


async def test_the_plan_shows_what_the_linter_says(author: Operator) -> None:
    """Only of what is pending, by the name of the rule."""
    await author.migrate()
    write_migration(author.folder, "2", "1", "ALTER TABLE t ADD COLUMN b bigint NOT NULL")

    code, out, _ = await author.app("plan")

    (finding,) = [line for line in out.splitlines() if line.startswith("-- lint: ")]
    assert code == 0
    assert "CREATE TABLE" not in out
    assert finding.startswith("-- lint: 2: adding-required-field: ALTER TABLE t ADD COLUMN b")


async def test_down_says_what_it_loses(author: Operator) -> None:
    """Each table, in the log; then the schema stands where it was told to."""
    await author.migrate()

    code, out, _ = await author.app("down", "base")

    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["loss"] for line in events if line["event"] == "migrations.loss_ahead"] == ["table t"]
    assert (events[-1]["event"], events[-1]["revision"], events[-1]["previous"]) == ("migrations.finished", "base", "1")
    assert author.sql("SELECT to_regclass('t') IS NULL") == "t"


async def test_down_in_production_wants_a_yes(author: Operator) -> None:
    """Without it nothing is touched, and the message says what would have been lost."""
    await author.migrate()

    refused, _, reason = await author.app("down", "base", **PRODUCTION)
    kept = author.sql("SELECT to_regclass('t') IS NOT NULL")
    done, _, _ = await author.app("down", "base", "--yes", **PRODUCTION)

    assert (refused, reason) == (1, "app: this loses table t; in production add --yes if that is meant\n")
    assert (kept, done) == ("t", 0)
    assert author.sql("SELECT to_regclass('t') IS NULL") == "t"


async def test_down_to_nowhere_is_told_in_one_line(operator: Operator) -> None:
    """A revision that does not exist, or is not below."""
    await operator.migrate()

    code, _, err = await operator.app("down", "0815")

    assert (code, err) == (1, "app: there is no revision 0815\n")


async def test_check_is_content_with_the_service(operator: Operator) -> None:
    """At the newest revision, models and tables agree and no migration is refused."""
    await operator.migrate()

    code, out, err = await operator.app("check")

    assert (code, err) == (0, "")
    assert out == f"schema is at {HEAD}, nothing to complain about\n"


async def test_check_fails_when_the_schema_is_behind(operator: Operator) -> None:
    """It says where the schema is, and where it should be."""
    code, _, err = await operator.app("check")

    assert (code, err) == (1, f"app: the schema is at base, the code needs {HEAD}\n")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param("ALTER TABLE orders DROP COLUMN settle_after", "add column orders settle_after", id="column gone"),
        pytest.param("CREATE TABLE stray (id bigint)", "remove table stray", id="table of nobody"),
        pytest.param("ALTER TABLE orders ALTER items DROP NOT NULL", "modify nullable orders items", id="may be null"),
        pytest.param(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_tenant_id_id_idx'::regclass",
            "index orders_tenant_id_id_idx is invalid",
            id="invalid index",
        ),
    ],
)
async def test_check_fails_when_models_and_tables_differ(operator: Operator, change: str, told: str) -> None:
    """What somebody has done by hand, or left out of a migration, is named."""
    await operator.migrate()
    operator.sql(change)

    code, _, err = await operator.app("check")

    assert code == 1
    assert f"models and tables differ: {told}" in err


async def test_check_fails_when_a_migration_is_refused(author: Operator) -> None:
    """Also when it has been applied already."""
    write_migration(author.folder, "2", "1", "CREATE INDEX i ON t (id)")
    await author.migrate()

    code, _, err = await author.app("check")

    assert code == 1
    assert "2: require-concurrent-index-creation: CREATE INDEX i ON t (id);" in err
