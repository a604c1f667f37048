"""The silence around a deployment, in a real Alertmanager: whom it hushes, whom it does not, and when it ends."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dev.http_server import serving
from dev.monitoring import Alertmanager
from tests.support.deployment import Deployment
from tests.support.eventually import eventually

# Each differs from what is silenced in one label, or has none of them.
HEARD = {
    "page": {"severity": "page"},
    "security": {"severity": "security"},
    "ticket that no deployment causes": {"deploy_sensitive": "false"},
    "unmarked ticket": {"deploy_sensitive": ""},
    "ticket of another service": {"service": "other"},
}
Deploy = Callable[..., Deployment]


class Notified:
    """Whoever is told."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str]] = []

    def app(self) -> Starlette:
        """Return its HTTP side."""
        return Starlette(routes=[Route("/", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        told = [alert["labels"] for alert in (await request.json())["alerts"]]
        self.alerts += [(labels["deployed"], labels["alertname"]) for labels in told]
        return Response()

    def of(self, deployed: str) -> set[str]:
        """Return the names of the alerts that a test has raised."""
        return {name for told, name in self.alerts if told == deployed}


@pytest.fixture(scope="module")
def notified() -> Notified:
    """Return who is told in this module."""
    return Notified()


@pytest.fixture(scope="module")
def alertmanager(
    tool: Callable[[str], Path], notified: Notified, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alertmanager]:
    """Yield an Alertmanager that tells of each alert at once."""
    tool("prometheus-alertmanager")
    with serving(notified.app()) as url:
        server = Alertmanager(
            tmp_path_factory.mktemp("alertmanager"),
            {
                "route": {"receiver": "all", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"},
                "receivers": [{"name": "all", "webhook_configs": [{"url": url}]}],
            },
        )
        server.start()
        yield server
        server.stop()


@pytest.fixture
def deploy(alertmanager: Alertmanager, tmp_path: Path) -> Iterator[Deploy]:
    """Yield a function that starts a deployment of a service."""
    started = []

    def start(service: str, *options: str) -> Deployment:
        deployment = Deployment(tmp_path, alertmanager.url, "--service", service, *options)
        started.append(deployment)
        deployment.process.start()
        return deployment

    yield start
    for deployment in started:
        deployment.clear_away()


def silences(alertmanager: Alertmanager, service: str) -> list[dict[str, Any]]:
    """Return the silences of a service, the ended ones, too."""
    answer = httpx.get(f"{alertmanager.url}/api/v2/silences", params={"filter": f'service="{service}"'}, timeout=10)
    return list(answer.raise_for_status().json())


def in_state(alertmanager: Alertmanager, service: str, state: str) -> dict[str, Any] | None:
    """Return the silence of a service if it is in a state."""
    found = silences(alertmanager, service)
    assert len(found) <= 1
    return found[0] if found and found[0]["status"]["state"] == state else None


def raised(alertmanager: Alertmanager, deployed: str, name: str, **different: str) -> None:
    """Raise an alert while a service is deployed: a ticket that this causes, but for what is different."""
    labels = {"severity": "ticket", "deploy_sensitive": "true", "service": deployed, **different}
    alertmanager.post({"labels": {"alertname": name, "deployed": deployed, **labels}})


def unmute(alertmanager: Alertmanager, silence_id: str) -> None:
    """End a silence, as a person does who wants to hear."""
    httpx.delete(f"{alertmanager.url}/api/v2/silence/{silence_id}", timeout=10).raise_for_status()


def suppressed_by(alertmanager: Alertmanager, service: str) -> list[str] | None:
    """Return what silences the ticket of a service, once something does."""
    states = [a["status"] for a in alertmanager.alerts() if a["labels"]["deployed"] == service]
    return next((list(state["silencedBy"]) for state in states if state["state"] == "suppressed"), None)


def moment(silence: dict[str, Any], key: str) -> datetime:
    """Return when something was, or will be, of a silence."""
    return datetime.fromisoformat(silence[key])


async def test_tickets_of_a_deployment_wait_until_it_has_ended(
    alertmanager: Alertmanager, notified: Notified, deploy: Deploy
) -> None:
    """Meanwhile all others are delivered; afterwards the ticket is, too, if it is still true."""
    deployment = deploy("shop")
    silence = await eventually(lambda: in_state(alertmanager, "shop", "active"), within_seconds=60)

    raised(alertmanager, "shop", "ticket")
    for name, different in HEARD.items():
        raised(alertmanager, "shop", name, **different)
    await eventually(lambda: notified.of("shop") >= set(HEARD), within_seconds=60)
    by = await eventually(lambda: suppressed_by(alertmanager, "shop"), within_seconds=60)
    meanwhile = notified.of("shop")
    status = deployment.ends()

    assert by == [silence["id"]]
    assert meanwhile == set(HEARD)
    assert status == 0
    assert in_state(alertmanager, "shop", "expired")
    await eventually(lambda: "ticket" in notified.of("shop"), within_seconds=60)


async def test_nothing_else_is_ever_silenced(alertmanager: Alertmanager, deploy: Deploy) -> None:
    """Three labels, each with one value."""
    deploy("matched")

    silence = await eventually(lambda: in_state(alertmanager, "matched", "active"), within_seconds=60)

    assert sorted((m["name"], m["value"], m["isRegex"], m["isEqual"]) for m in silence["matchers"]) == [
        ("deploy_sensitive", "true", False, True),
        ("service", "matched", False, True),
        ("severity", "ticket", False, True),
    ]


async def test_a_deployment_that_is_killed_is_silent_for_no_longer_than_its_lease(
    alertmanager: Alertmanager, notified: Notified, deploy: Deploy
) -> None:
    """Nobody is left to end the silence: it lapses, and the ticket is delivered."""
    deployment = deploy("killed", "--lease", "3s")
    await eventually(lambda: in_state(alertmanager, "killed", "active"), within_seconds=60)
    raised(alertmanager, "killed", "ticket")
    await eventually(lambda: suppressed_by(alertmanager, "killed"), within_seconds=60)
    begun = await asyncio.to_thread(deployment.wait_until_begun)

    deployment.process.kill()
    lapsed = await eventually(lambda: in_state(alertmanager, "killed", "expired"), within_seconds=60)
    await eventually(lambda: "ticket" in notified.of("killed"), within_seconds=60)

    assert begun
    assert moment(lapsed, "endsAt") - moment(lapsed, "updatedAt") <= timedelta(seconds=3)
    assert deployment.end_command()


async def test_a_long_deployment_stays_silent(alertmanager: Alertmanager, deploy: Deploy) -> None:
    """The same silence is still renewed when its first lease is over."""
    deployment = deploy("long", "--lease", "4s")
    first = await eventually(lambda: in_state(alertmanager, "long", "active"), within_seconds=60)

    def renewed() -> bool:
        silence = in_state(alertmanager, "long", "active")
        assert silence is not None
        return moment(silence, "updatedAt") > moment(first, "endsAt")

    await eventually(renewed, within_seconds=60)
    assert deployment.ends() == 0
    ended = in_state(alertmanager, "long", "expired")
    assert ended is not None
    assert ended["id"] == first["id"]


async def test_a_deployment_without_end_is_heard_at_last(alertmanager: Alertmanager, deploy: Deploy) -> None:
    """Its cap is reached: the silence ends, and the deployment goes on."""
    deployment = deploy("endless", "--lease", "3s", "--cap", "4s")
    ended = await eventually(lambda: in_state(alertmanager, "endless", "expired"), within_seconds=60)

    assert deployment.process.wait_for_line("takes long: its tickets are heard again", timeout_seconds=60)
    assert moment(ended, "endsAt") - moment(ended, "startsAt") <= timedelta(seconds=4)
    assert deployment.ends() == 0
    assert len(silences(alertmanager, "endless")) == 1


async def test_who_ends_the_silence_by_hand_is_obeyed(alertmanager: Alertmanager, deploy: Deploy) -> None:
    """It does not come back with the next renewal."""
    deployment = deploy("unmuted", "--lease", "3s")
    silence = await eventually(lambda: in_state(alertmanager, "unmuted", "active"), within_seconds=60)

    unmute(alertmanager, silence["id"])

    assert deployment.process.wait_for_line("has ended before the deployment", timeout_seconds=60)
    assert deployment.ends() == 0
    assert in_state(alertmanager, "unmuted", "expired")


async def test_a_deployment_that_fails_ends_its_silence(alertmanager: Alertmanager, tmp_path: Path) -> None:
    """Its exit status comes out as it was."""
    command = ["sh", "-c", "exit 7"]
    deployment = Deployment(tmp_path, alertmanager.url, "--service", "failed", command=command)
    deployment.process.start()

    assert deployment.process.wait(timeout_seconds=60) == 7
    assert in_state(alertmanager, "failed", "expired")
    assert deployment.lines == []
