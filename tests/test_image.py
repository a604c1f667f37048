"""The image is really built, and runs as a platform runs it: without rights, on a file system it cannot write."""

import base64
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import engine as engines
import httpx
import pytest
import signing
from baking import ROOT

pytestmark = pytest.mark.xdist_group("image")

_PROOF = "the image is built and run"
_ADVICE = "install Docker or podman, or run as root on Debian"
_IMAGE = "localhost/under-test"
_HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--memory", "512m", "--pids-limit", "64", "--network", "host"),
)
_ORDER = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 2, "unit_price_minor": 450}]}
_LOOK = """
import importlib.metadata, json, os, pathlib, shutil
print(json.dumps({
    "uid": os.getuid(),
    "distributions": sorted(d.metadata["Name"].lower().replace("_", "-") for d in importlib.metadata.distributions()),
    "srv": sorted(str(p.relative_to("/srv")) for p in pathlib.Path("/srv").iterdir()),
    "programs": [name for name in ("uv", "gcc", "git", "make") if shutil.which(name)],
}))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[engines.Engine | None]:
    """Something that builds and runs images."""
    with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder:
        found = engines.find(Path(folder))
        yield found
        if found is not None:
            found("rmi", "--force", _IMAGE, check=False)


@pytest.fixture(scope="module")
def built(engine: engines.Engine | None, equipped: Path) -> tuple[engines.Engine, float] | None:
    """The engine that has the image, and how many seconds it took to build."""
    if engine is None:
        return None
    began = time.monotonic()
    options = "--network host"
    if engine.base:  # and in OCI's own format, podman's default, an image has no health check
        options += f" --format docker --from {engine.base}"
    made = _make("image", engine, equipped, {}, "VERSION=1.2.3", f"BUILD_OPTIONS={options}")
    assert made.returncode == 0, made.stdout + made.stderr
    return engine, time.monotonic() - began


@pytest.fixture
def image(
    built: tuple[engines.Engine, float] | None, unproven: Callable[[str, str], None]
) -> tuple[engines.Engine, float]:
    """The same, or what is not proven is noted."""
    if built is None:
        unproven(_PROOF, _ADVICE)
        pytest.skip(_ADVICE)
    return built


@pytest.fixture
def servers(equipped: Path) -> Iterator[dict[str, Any]]:
    """PostgreSQL, NATS, a token issuer and a payment provider."""
    with subprocess.Popen(
        [equipped / ".venv/bin/python", ROOT / "tests/image_servers.py"],
        cwd=equipped,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{equipped}:{equipped}/src", "HOME": str(equipped)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdin
        lines = (line for line in process.stdout if line.startswith('{"variables"'))
        yield json.loads(next(lines))
        process.stdin.close()


def test_the_image_holds_what_the_service_needs_and_no_more(
    image: tuple[engines.Engine, float],
    equipped: Path,
    uv: str,
    figure: Callable[[str], None],
) -> None:
    """What is installed is what uv.lock names for a run: nothing for development, and no tool that builds."""
    engine, seconds = image
    found = _look(engine)
    (described,) = json.loads(engine("image", "inspect", _IMAGE).stdout)
    export = [uv, "export", "--locked", "--no-dev", "--extra", "s3", "--extra", "archive", "--no-hashes", "--no-header"]
    named = subprocess.run(export, cwd=equipped, capture_output=True, text=True, check=True).stdout
    locked = {line.partition("==")[0].partition(" ")[0] for line in named.splitlines() if line[:1].isalpha()}

    figure(f"image: {described['Size'] / 1e6:.0f} MB, built in {seconds:.0f} s on {engine.base or 'the base it names'}")
    assert found["uid"] == 10001
    assert set(found["distributions"]) <= locked | {"order-service"}
    assert {"fastapi", "asyncpg", "order-service"} <= set(found["distributions"])
    assert found["srv"] == ["migrations"]
    assert found["programs"] == []
    assert described["Config"]["User"] == "10001:10001"
    labels = described["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "order-service"
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.source"].startswith("https://")


def test_it_migrates_serves_and_works_with_a_file_system_that_it_cannot_write(
    image: tuple[engines.Engine, float],
    servers: dict[str, Any],
    figure: Callable[[str], None],
) -> None:
    """An order is taken by one container and passed on by the other; both leave at once when they are asked to."""
    engine, _ = image
    variables = servers["variables"]
    settings = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    ports = {"serve": variables["APP_HTTP__PORT"], "worker": variables["APP_WORKER__PORT"]}
    names = {command: f"under-test-{command}-{ports['serve']}" for command in ports}
    engine("run", "--rm", *_HARDENED, *settings, _IMAGE, "migrate")
    try:
        began = time.monotonic()
        for command, name in names.items():
            engine("run", "--detach", "--name", name, *_HARDENED, *settings, _IMAGE, command)
        for port in ports.values():
            engines.until_it_answers(f"http://127.0.0.1:{port}/readyz")
        figure(f"image: two containers ready after {time.monotonic() - began:.1f} s")
        _order_takes_effect(f"http://127.0.0.1:{ports['serve']}", servers["token"])
        written = engine("exec", names["serve"], "python3", "-c", "open('/srv/x', 'w')", check=False)
        leaving = {command: engine("stop", "--time", "30", name).returncode for command, name in names.items()}
        states = {
            command: json.loads(engine("inspect", name).stdout)[0]["State"]["ExitCode"]
            for command, name in names.items()
        }
    finally:
        for name in names.values():
            engine("rm", "--force", name, check=False)

    assert "Read-only file system" in written.stderr
    assert leaving == {"serve": 0, "worker": 0}
    assert states == {"serve": 0, "worker": 0}


def test_the_image_is_described_and_scanned(
    image: tuple[engines.Engine, float],
    equipped: Path,
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    """The SBOM names every package of Debian and of Python; a vulnerable one stops the release, others do not."""
    engine, _ = image
    found = _look(engine)
    packages = engine(
        "run", "--rm", "--network", "none", "--entrypoint", "dpkg-query", _IMAGE, "-W", "-f", "${Package}\n"
    ).stdout.split()

    assert _make("sbom", engine, equipped, {}).returncode == 0
    described = json.loads((equipped / ".cache/sbom.cdx.json").read_text())["components"]
    named = {(part.get("purl", "").partition("/")[0], part["name"].lower().replace("_", "-")) for part in described}
    assert {("pkg:pypi", name) for name in found["distributions"]} - named == set()
    assert {("pkg:deb", name) for name in packages} - named == set()
    figure(f"image: SBOM of {len(packages)} packages of Debian, {len(found['distributions'])} of Python")

    ended = {}
    for name, versions in {"clean": "< 0.1", "vulnerable": "< 999"}.items():
        cache = tmp_path / name
        code = f"from tests.support.trivy_database import write; write({cache!r}, fastapi=('CVE-2026-1', {versions!r}))"
        code = f"from pathlib import Path, PosixPath; {code}"
        subprocess.run([equipped / ".venv/bin/python", "-c", code], cwd=equipped, check=True)
        ended[name] = _make("scan", engine, equipped, {"TRIVY_CACHE_DIR": str(cache), "TRIVY_SKIP_DB_UPDATE": "true"})
    assert ended["clean"].returncode == 0, ended["clean"].stdout + ended["clean"].stderr
    assert ended["vulnerable"].returncode != 0
    assert "CVE-2026-1" in ended["vulnerable"].stdout


def test_a_signature_is_made_and_asked_for(
    engine: engines.Engine | None, equipped: Path, tmp_path: Path, unproven: Callable[[str, str], None]
) -> None:
    """What was pushed, signed and described is accepted; unsigned, by another or not described it is not."""
    tools = signing.find(tmp_path / "programs") if engine else None
    if engine is None or tools is None:
        unproven("an image is signed and verified", "install Docker or podman, docker-registry and cosign")
        return
    keys = {name: _key(tools[1], tmp_path / name) for name in ("ours", "theirs")}
    on_http = "--allow-http-registry --allow-insecure-registry"
    (equipped / ".cache").mkdir(exist_ok=True)
    (equipped / ".cache/sbom.cdx.json").write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    with signing.running(tools[0], tmp_path) as address:
        (tmp_path / "registries.conf").write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
        env = {
            "CONTAINERS_REGISTRIES_CONF": str(tmp_path / "registries.conf"),
            "COSIGN_PASSWORD": "",
            "PATH": f"{tools[1].parent}:{engine.env['PATH']}",
        }

        def make(target: str, *words: str) -> int:
            return _make(target, engine, equipped, env, *words).returncode

        def pushed(name: str) -> str:
            (tmp_path / name).write_text(name)
            subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / f"{name}.tar", name], check=True)
            engine("import", str(tmp_path / f"{name}.tar"), f"{address}/{name}:1")
            assert make("push", f"IMAGE={address}/{name}:1") == 0
            engine("rmi", f"{address}/{name}:1")
            return dict(line.split("=") for line in (equipped / ".cache/image.env").read_text().split())["IMAGE"]

        def verify(image: str, key: str) -> int:
            ours = f"--key {keys[key]}.pub --insecure-ignore-tlog --private-infrastructure {on_http}"
            return make("verify", f"IMAGE={image}", f"COSIGN={ours}")

        def cosign(*words: str, program: Path = tools[1]) -> str:
            command = [str(program), *words, *on_http.split()]
            return subprocess.run(command, env=engine.env | env, capture_output=True, text=True, check=True).stdout

        unsigned, signed = pushed("unsigned"), pushed("signed")
        assert make("sign", f"COSIGN=--key {keys['ours']}.key --tlog-upload=false {on_http}") == 0
        bare, from_nowhere = pushed("bare"), pushed("from-nowhere")
        as_we = ("--yes", "--key", f"{keys['ours']}.key", "--tlog-upload=false")
        for image in (bare, from_nowhere):
            cosign("sign", *as_we, image)
        cosign("attest", *as_we, "--type", "cyclonedx", "--predicate", f"{equipped}/.cache/sbom.cdx.json", from_nowhere)

        assert verify(signed, "ours") == 0
        assert verify(signed, "theirs") != 0
        assert verify(unsigned, "ours") != 0
        assert verify(bare, "ours") != 0
        assert verify(from_nowhere, "ours") != 0
        known = ("--key", f"{keys['ours']}.pub", "--insecure-ignore-tlog", "--private-infrastructure")
        shown = cosign("verify-attestation", *known, "--type", "slsaprovenance1", signed)
        statement = json.loads(base64.b64decode(json.loads(shown)["payload"]))
        assert statement["subject"][0]["digest"]["sha256"] == signed.rpartition(":")[2]
        (source,) = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert source["uri"].startswith("git+https://")


def _key(cosign: Path, prefix: Path) -> Path:
    words = ["generate-key-pair", "--output-key-prefix", str(prefix)]
    subprocess.run([cosign, *words], env={"COSIGN_PASSWORD": "", "HOME": str(prefix.parent)}, check=True)
    return prefix


def _look(engine: engines.Engine) -> dict[str, Any]:
    said = engine("run", "--rm", "--network", "none", "--entrypoint", "python3", _IMAGE, "-c", _LOOK).stdout
    seen: dict[str, Any] = json.loads(said.splitlines()[-1])
    return seen


def _make(
    target: str, engine: engines.Engine, service: Path, env: dict[str, str], *more: str
) -> subprocess.CompletedProcess[str]:
    image = () if any(word.startswith("IMAGE=") for word in more) else (f"IMAGE={_IMAGE}",)
    words = [f"ENGINE={engine.program}", *image, *more]
    return subprocess.run(
        ["make", target, *words],
        cwd=service,
        env={**engine.env, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def _order_takes_effect(url: str, token: str) -> None:
    """Place an order, and wait until its event is in its history, which the worker writes."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=10) as client:
        placed = client.post("/v1/orders", json=_ORDER)
        assert placed.status_code == 201, placed.text
        deadline = time.monotonic() + 30
        while "order.placed" not in client.get(f"/v1/orders/{placed.json()['id']}").text:
            assert time.monotonic() < deadline, "the worker did not pass the event on"
            time.sleep(0.1)
