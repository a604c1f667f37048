"""Fixtures for all tests: a real database and a real broker of one's own, and real processes.

Nothing starts before a test asks for it. The servers are shared by the whole run, what is in them is not: each test
gets a fresh copy of the migrated database, and each xdist worker an account of its own in the broker.
"""

import asyncio
import fcntl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import nats
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine
from dev.environment import APP, ROOT, Addresses, machine_variables, service_name, variables
from dev.http_server import ResettableProtocol, serving
from dev.payment_simulator import PaymentSimulator
from dev.ports import free_port
from dev.postgres import PostgreSQL
from dev.token_issuer import SigningKey, TokenIssuer
from tests.support import shared_servers
from tests.support.service_process import ServiceProcess

if TYPE_CHECKING:
    from tests.support import s3

_RUN = pytest.StashKey[Path]()
_CONTROLLER_LOCK = pytest.StashKey[TextIOWrapper]()
_TEMPLATE = "template_service"


@pytest.hookimpl(tryfirst=True)  # before pytest asks where temporary files go
def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder, and hold its lock for as long as the run lives.

    Temporary files are in it, too. Where pytest has them, each other pytest of this user that starts takes away the
    right to pass through, which `nobody`, as whom a PostgreSQL of root runs, then lacks in the middle of its work.
    """
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker_input is not None:
        config.stash[_RUN] = Path(worker_input["run"])
        return
    run = Path(tempfile.mkdtemp(prefix="service-tests-"))
    lock = (run / "controller.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    config.stash[_RUN], config.stash[_CONTROLLER_LOCK] = run, lock
    config.option.basetemp = config.option.basetemp or run / "tmp"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 - xdist has no types
    """Tell an xdist worker where the run's folder is."""
    node.workerinput["run"] = str(node.config.stash[_RUN])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let the run's servers go, and wait for them."""
    lock = config.stash.get(_CONTROLLER_LOCK, None)
    if lock is not None:
        lock.close()
        shared_servers.wait_until_stopped(config.stash[_RUN])


@pytest.fixture(scope="session")
def run_folder(pytestconfig: pytest.Config) -> Path:
    """Return the folder that all workers of this run share."""
    return pytestconfig.stash[_RUN]


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> PostgreSQL:
    """Return the run's PostgreSQL. A test that stops or kills one starts its own."""
    shared_servers.ensure_started(run_folder)
    return shared_servers.postgres_of(run_folder)


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgreSQL, run_folder: Path) -> str:
    """Return the name of a database with all migrations, made once per run."""
    with shared_servers.locked(run_folder / "template.lock"):
        if _TEMPLATE not in postgres.databases():
            postgres.create_database(f"{_TEMPLATE}_unfinished")
            asyncio.run(migrate(postgres.url(f"{_TEMPLATE}_unfinished")))
            postgres.execute(f"ALTER DATABASE {_TEMPLATE}_unfinished RENAME TO {_TEMPLATE}")
    return _TEMPLATE


@pytest.fixture
def database_url(postgres: PostgreSQL, migrated_template: str) -> Iterator[str]:
    """Yield the URL of a migrated, empty database for one test."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on the test's own database."""
    engine = create_engine(DatabaseSettings.model_validate({"url": database_url}), application_name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def broker_url(run_folder: Path, worker_id: str) -> AsyncIterator[str]:
    """Yield the URL of an empty broker: an account for this worker, whose streams are deleted after each test."""
    port = await asyncio.to_thread(shared_servers.ensure_started, run_folder)
    url = f"nats://{worker_id}:{worker_id}@127.0.0.1:{port}"
    yield url
    client = await nats.connect(url)
    jetstream = client.jetstream()
    for stream in await jetstream.streams_info():
        await jetstream.delete_stream(stream.config.name or "")
    await client.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Yield the address of an S3 server, one for each worker."""
    from tests.support import s3  # noqa: PLC0415 - only tests of object storage need boto3

    with s3.running_s3() as url:
        yield url


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["s3.Bucket"]:
    """Yield an empty bucket with Object Lock, and have its credentials in the environment."""
    from tests.support import s3  # noqa: PLC0415 - as above

    for name, value in s3.VARIABLES.items():
        monkeypatch.setenv(name, value)
    with s3.new_bucket(s3_server) as made:
        yield made


@pytest.fixture(scope="session")
def token_issuer() -> Iterator[TokenIssuer]:
    """Yield an issuer that signs what a test wants, and publishes its keys at `token_issuer.jwks_url`."""
    issuer = TokenIssuer(SigningKey.generate(), audience=service_name())
    with serving(issuer.app()) as url:
        issuer.jwks_url = f"{url}/.well-known/jwks.json"
        yield issuer


@pytest.fixture
def payments_url() -> Iterator[str]:
    """Yield the URL of a payment provider with its fault switches, which remembers only this test."""
    with serving(PaymentSimulator().app(), http=ResettableProtocol) as url:
        yield url


@pytest.fixture
def addresses(database_url: str, broker_url: str, payments_url: str, token_issuer: TokenIssuer) -> Addresses:
    """Return where everything listens that the service needs, with free ports for itself."""
    return Addresses(
        database_url=database_url,
        broker_url=broker_url,
        payments_url=payments_url,
        jwks_url=token_issuer.jwks_url,
        http_port=free_port(),
        worker_port=free_port(),
    )


StartProcess = Callable[..., ServiceProcess]


@pytest.fixture
def start_process() -> Iterator[StartProcess]:
    """Yield a function that starts a process, with `env` on top of the machine's variables."""
    started: list[ServiceProcess] = []

    def start(name: str, *argv: str, env: Mapping[str, str]) -> ServiceProcess:
        process = ServiceProcess(name, argv, {**machine_variables(), **env})
        started.append(process)
        process.start()
        return process

    yield start
    for process in reversed(started):
        process.process.stop()


@pytest.fixture
def start_app(start_process: StartProcess, addresses: Addresses) -> StartProcess:
    """Return a function that starts a command of the service: `start_app("serve", APP_LOGGING__LEVEL="debug")`."""

    def start(command: str, **env: str) -> ServiceProcess:
        return start_process(command, *APP, command, env={**variables(addresses, env="test"), **env})

    return start


async def migrate(url: str) -> None:
    from app.patterns import migrations  # noqa: PLC0415 - only tests with a database need it

    engine = create_engine(DatabaseSettings.model_validate({"url": url}), application_name="test")
    try:
        await migrations.upgrade(engine, migrations.MigrationSettings(folder=ROOT / "migrations"))
    finally:
        await engine.dispose()
