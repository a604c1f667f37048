"""ops/blackbox/blackbox.yaml in the real blackbox_exporter: what it says of the service, and of what is not well."""

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dev.environment import ROOT
from dev.http_server import serving
from dev.ports import free_port
from dev.postgres import PostgreSQL
from dev.token_issuer import TokenIssuer
from tests.conftest import StartProcess
from tests.support.eventually import eventually
from tests.support.running_service import RunningService, running_service

CONFIG = ROOT / "ops" / "blackbox" / "blackbox.yaml"
PASS = '{"status": "pass", "checks": {"database": {"status": "pass"}}}'
FAIL = '{"status": "fail", "checks": {"database": {"status": "pass"}}}'
Tool = Callable[[str], Path]
Ask = Callable[[str, str], "asyncio.Future[dict[str, float]]"]


@pytest.fixture(scope="module")
def service(
    postgres: PostgreSQL, migrated_template: str, token_issuer: TokenIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """Yield the HTTP process of a service."""
    folder = tmp_path_factory.mktemp("service")
    with running_service(postgres=postgres, template=migrated_template, issuer=token_issuer, folder=folder) as service:
        asyncio.run(service.start("serve"))
        yield service


@pytest.fixture
async def ask(tool: Tool, start_process: StartProcess) -> AsyncIterator[Ask]:
    """Yield a function that has a running exporter ask a module's question, and returns what it exposes."""
    program = await asyncio.to_thread(tool, "prometheus-blackbox-exporter")
    url = f"http://127.0.0.1:{free_port()}"
    options = (f"--config.file={CONFIG}", f"--web.listen-address={url.removeprefix('http://')}")
    process = start_process("blackbox", str(program), *options, env={})
    await process.wait_until_ready(f"{url}/-/healthy")
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:

        async def asked(module: str, target: str) -> dict[str, float]:
            answer = await client.get("/probe", params={"module": module, "target": target})
            return {name: float(value) for name, value in re.findall(r"^(probe_\w+) (\S+)$", answer.text, re.MULTILINE)}

        yield lambda module, target: asyncio.ensure_future(asked(module, target))


def test_the_exporter_accepts_its_configuration(tool: Tool) -> None:
    """Every word of it."""
    program = tool("prometheus-blackbox-exporter")

    checked = subprocess.run([program, f"--config.file={CONFIG}", "--config.check"], check=False, capture_output=True)

    assert checked.returncode == 0, checked.stderr
    assert b"Config file is ok" in checked.stderr


async def test_the_service_is_well(ask: Ask, service: RunningService) -> None:
    """It is ready, and turns away a stranger, as the modules expect."""
    ready = await ask("readiness", f"{service.url}/readyz")
    refused = await ask("api", f"{service.url}/v1/orders")

    assert (ready["probe_success"], ready["probe_http_status_code"]) == (1, 200)
    assert (refused["probe_success"], refused["probe_http_status_code"]) == (1, 401)


async def test_a_service_without_its_schema_is_not_ready(
    ask: Ask, service: RunningService, postgres: PostgreSQL
) -> None:
    """Until it has it again; all the time it turns strangers away."""

    async def ready(wanted: float) -> dict[str, float] | None:
        answer = await ask("readiness", f"{service.url}/readyz")
        return answer if answer["probe_success"] == wanted else None

    postgres.execute("ALTER TABLE alembic_version RENAME TO hidden", database=service.database)
    try:
        unready = await eventually(lambda: ready(0))
        refused = await ask("api", f"{service.url}/v1/orders")
    finally:
        postgres.execute("ALTER TABLE hidden RENAME TO alembic_version", database=service.database)

    assert unready["probe_http_status_code"] == 503
    assert refused["probe_success"] == 1
    assert await eventually(lambda: ready(1))


def answering(body: str, status: int = 200, content_type: str = "application/json") -> ASGIApp:
    """Return a server that always says the same."""
    return Response(body, status, media_type=content_type)


async def never(scope: Scope, receive: Receive, _: Send) -> None:
    """Answer nobody, for as long as they wait."""
    while scope["type"] == "http" and (await receive())["type"] != "http.disconnect":
        pass


@pytest.mark.parametrize(
    ("module", "server", "success"),
    [
        pytest.param("readiness", answering(PASS), 1, id="ready"),
        pytest.param("readiness", answering(PASS.replace("pass", "warn", 1)), 1, id="ready without something"),
        pytest.param("readiness", answering(PASS, 503), 0, id="ready with 503"),
        pytest.param("readiness", answering(FAIL), 0, id="unready in words"),
        pytest.param("readiness", answering(PASS, content_type="text/plain"), 0, id="ready in another language"),
        pytest.param("readiness", answering("<html>", content_type="text/html"), 0, id="somebody else's page"),
        pytest.param("readiness", never, 0, id="ready too late"),
        pytest.param("api", answering("[]"), 0, id="open door"),
        pytest.param("api", answering("<html>", 401, "text/html"), 0, id="somebody else's refusal"),
        pytest.param("api", never, 0, id="no refusal"),
    ],
)
async def test_what_is_not_well_is_seen(ask: Ask, module: str, server: ASGIApp, success: float) -> None:
    """What looks almost like the service is not taken for it; what does not answer is given up."""
    with serving(server) as url:
        answer = await ask(module, f"{url}/readyz")

    assert answer["probe_success"] == success


@pytest.mark.parametrize("lives", [timedelta(hours=3), timedelta(hours=-3)], ids=["short-lived", "expired"])
async def test_a_certificate_tells_its_last_day(ask: Ask, tmp_path: Path, lives: timedelta) -> None:
    """Also when that has passed, for then somebody has to know."""
    until = datetime.now(UTC).replace(microsecond=0) + lives
    async with speaking_tls(tmp_path, until) as target:
        answer = await ask("certificate", target)

    assert answer["probe_success"] == 1
    assert answer["probe_ssl_earliest_cert_expiry"] == until.timestamp()


async def test_no_encryption_is_no_certificate(ask: Ask) -> None:
    """Nothing is said of a date."""
    with serving(answering(PASS)) as url:
        answer = await ask("certificate", url.removeprefix("http://"))

    assert answer["probe_success"] == 0
    assert "probe_ssl_earliest_cert_expiry" not in answer


@asynccontextmanager
async def speaking_tls(folder: Path, until: datetime) -> AsyncIterator[str]:
    """Yield the address of a server whose certificate is good until then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(until - timedelta(days=1))
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
