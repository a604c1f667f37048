"""What an operator reads when something is set up wrong: one clear line, the next step, and no stack trace."""

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.kit.db import DatabaseSettings, create_engine
from app.patterns.migrations import MigrationSettings, revisions
from dev.environment import ROOT, Addresses, database_variables, machine_variables, variables
from dev.postgres import PostgreSQL
from dev.token_issuer import ISSUER
from tests.conftest import StartProcess
from tests.support.running_service import ORDER, RunningService

SECRET = "hunter2-canary"
ENV = variables(
    Addresses(
        database_url=f"postgresql+asyncpg://app:{SECRET}@127.0.0.1:1/app",
        broker_url=f"nats://app:{SECRET}@127.0.0.1:1",
        payments_url="http://127.0.0.1:1",
        jwks_url="http://127.0.0.1:1",
        http_port=0,
        worker_port=0,
    )
)
MIGRATED, *BEFORE = revisions(MigrationSettings(folder=ROOT / "migrations"))


async def app(*arguments: str, env: Mapping[str, str] = ENV) -> tuple[int, str, str]:
    """Run `app` to its end; return exit code, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from app.cli import main; main()",
        *arguments,
        cwd=ROOT,
        env={**machine_variables(), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("command", "variable"), [("serve", "APP_HTTP__PORT"), ("worker", "APP_WORKER__PORT")], ids=["serve", "worker"]
)
async def test_taken_port_is_named_with_what_to_do(command: str, variable: str) -> None:
    """A port that somebody else listens on ends the process with one line that names address and setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = await app(command, env={**ENV, variable: str(port)})

    assert code == 1
    assert err.startswith(f"app: cannot listen on 127.0.0.1:{port}: ")
    assert variable in err
    assert (len(err.splitlines()), "Traceback" in err + out, SECRET in err + out) == (1, False, False)
    assert json.loads(out.splitlines()[-1])["event"] == "process.gave_up"


async def test_every_bad_setting_is_listed_at_once() -> None:
    """All missing and wrong settings are named in one go, by the variable to set, and no value is repeated."""
    wrong = {
        "OTEL_SERVICE_NAME": f"Not A Name {SECRET}",
        "APP_ENV": SECRET,
        "APP_HTTP__PORT": SECRET,
        "APP_DATABASE__POOL_SIZE": "0",
        "APP_PAYMENTS__URL": f"ftp://{SECRET}",
        "APP_LOGGING__LEVEL": SECRET,
        "APP_TRACING__RATIO": "7",
    }
    code, out, err = await app("serve", env=wrong)

    named = {line.split(":")[0].strip() for line in err.splitlines()[1:-1]}
    (line,) = map(json.loads, out.splitlines())
    assert (code, line["event"], line["level"], line["service"]) == (1, "process.gave_up", "critical", None)
    assert line["reason"] == err.removeprefix("app: ").removesuffix("\n")
    assert err.startswith("app: these settings are missing or wrong:\n")
    assert named >= {*wrong, "APP_DATABASE__URL", "APP_BROKER__URL", "APP_AUTHENTICATION__ISSUER"}
    assert (SECRET in err, "Traceback" in err, ".env.example" in err) == (False, False, True)


async def test_no_settings_at_all_lists_what_is_needed() -> None:
    """An empty environment names exactly the settings that have no default."""
    code, _, err = await app("migrate", env={})

    assert code == 1
    assert [line.split(":")[0].strip() for line in err.splitlines()[1:-1]] == [
        "OTEL_SERVICE_NAME",
        "APP_DATABASE__URL",
        "APP_BROKER__URL",
        "APP_PAYMENTS__URL",
        "APP_AUTHENTICATION__ISSUER",
        "APP_AUTHENTICATION__AUDIENCE",
        "APP_AUTHENTICATION__JWKS_URL",
    ]


@pytest.mark.parametrize("env", ["staging", "production"])
async def test_development_issuer_is_refused_outside_development(env: str) -> None:
    """A service that would trust anybody's tokens does not start."""
    code, _, err = await app("serve", env={**ENV, "APP_ENV": env})

    assert code == 1
    assert "APP_AUTHENTICATION: " in err
    assert "development token issuer is refused" in err
    assert ISSUER not in err


@pytest.mark.parametrize(
    ("arguments", "named"), [(["sevre"], "sevre"), ([], "command"), (["serve", "--port=1"], "--port")]
)
async def test_unknown_command_shows_what_there_is(arguments: list[str], named: str) -> None:
    """A mistyped command or option is named, next to the usage; settings do not matter for that."""
    code, _, err = await app(*arguments, env={})

    assert code == 2
    assert err.startswith("usage: app")
    assert named in err
    assert "Traceback" not in err


async def test_help_lists_every_command_without_settings() -> None:
    """`app --help` works on a bare machine."""
    code, out, _ = await app("--help", env={})

    assert code == 0
    assert [command for command in ("serve", "worker", "migrate", "openapi") if command not in out] == []


async def test_request_without_token_is_told_how_to_send_one(api: RunningService) -> None:
    """401 carries the scheme in WWW-Authenticate and says in words what is missing."""
    async with httpx.AsyncClient(base_url=api.url) as client:
        answer = await client.post("/v1/orders", json=ORDER)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["code"] == "unauthenticated"
    assert "`Authorization: Bearer ...`" in answer.json()["detail"]


async def test_migrate_without_postgresql_says_so() -> None:
    """`app migrate` that cannot connect ends with one line that names the setting and keeps the password."""
    code, out, err = await app("migrate")

    assert (code, err) == (1, "app: PostgreSQL cannot be reached at APP_MIGRATIONS__DATABASE_URL; is it running?\n")
    assert SECRET not in out


async def test_migrate_at_head_has_nothing_to_do(database_url: str) -> None:
    """On an up-to-date schema `app migrate` says so and succeeds."""
    code, out, err = await app("migrate", env={**ENV, **database_variables(database_url)})

    assert (code, err) == (0, "")
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["revision"]) == ("migrations.up_to_date", MIGRATED)


async def test_wrong_migration_is_told_in_one_line(database_url: str, tmp_path: Path) -> None:
    """What the database said is the message; the statement and the stack stay out of it."""
    (tmp_path / "versions").mkdir()
    shutil.copy(ROOT / "migrations" / "env.py", tmp_path)
    (tmp_path / "versions" / "0001.py").write_text(
        "from alembic import op\nrevision = '0001'\ndown_revision = None\n"
        "def upgrade():\n    op.execute('SELECT 1 / 0')\n"
    )
    env = {**ENV, **database_variables(database_url), "APP_MIGRATIONS__FOLDER": str(tmp_path)}
    engine = create_engine(DatabaseSettings(url=SecretStr(database_url)), application_name="test")
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM alembic_version"))
    await engine.dispose()

    code, _, err = await app("migrate", env=env)

    assert code == 1
    assert err.startswith("app: a migration failed and was rolled back: ")
    assert err.endswith("division by zero\n")
    assert len(err.splitlines()) == 1


async def test_two_migrations_at_once_do_the_work_once(postgres: PostgreSQL) -> None:
    """Two runners on an empty database both succeed; each step was applied by one of them."""
    postgres.create_database("migrated_twice")
    env = {**ENV, **database_variables(postgres.url("migrated_twice"))}
    try:
        runs = await asyncio.gather(app("migrate", env=env), app("migrate", env=env))
        tables = postgres.execute("SELECT count(*) FROM orders", database="migrated_twice")
    finally:
        postgres.drop_database("migrated_twice")

    applied = [line for _, out, _ in runs for line in out.splitlines() if "migrations.step_applied" in line]
    assert [code for code, _, _ in runs] == [0, 0]
    assert (len(applied), tables) == (1 + len(BEFORE), "0")
    assert [json.loads(out.splitlines()[-1])["revision"] for _, out, _ in runs] == [MIGRATED, MIGRATED]


async def test_migration_missing_is_told_by_readiness(
    postgres: PostgreSQL, start_app: StartProcess, addresses: Addresses
) -> None:
    """On an empty database the service starts, is not ready, and says which command to run."""
    postgres.create_database("not_migrated")
    try:
        serve = start_app("serve", **database_variables(postgres.url("not_migrated")))
        url = f"http://127.0.0.1:{addresses.http_port}"
        await serve.wait_until_ready(f"{url}/startupz")
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{url}/readyz")
    finally:
        serve.terminate()
        postgres.drop_database("not_migrated")

    (told,) = serve.logged("health.readiness_changed")
    assert answer.status_code == 503
    assert "run `app migrate`" in answer.json()["checks"]["schema"]["detail"]
    assert (told["level"], "run `app migrate`" in told["checks"]["schema"]) == ("warning", True)
