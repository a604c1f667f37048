"""Who is told of what: Alertmanager's configuration in a real Alertmanager, with receivers that this test owns."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.monitoring import Alertmanager
from dev.ops import slos
from dev.ops.alerts import read
from dev.ops.generated import FOLDER
from dev.ops.routing import OUTPUT, inhibitions
from dev.prove import delivery
from dev.prove.delivery import INCIDENTS, PAGE, SECURITY, TICKETS, delivering_to
from dev.prove.sink import Message, Sink, receiving
from tests.support.eventually import eventually
from tests.support.programs import run

Tool = Callable[[str], Path]
ALERTS = read(slos.read()).alerts
RECEIVERS = {
    "page": {PAGE, INCIDENTS},
    "ticket": {TICKETS},
    "security": {SECURITY},
    "heartbeat": {delivery.HEARTBEAT},
    "unheard-of": {delivery.UNROUTED},
}


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Yield PagerDuty, Slack and the heartbeat service."""
    with receiving() as sink:
        yield sink


@pytest.fixture
def alertmanager(tool: Tool, sink: Sink, tmp_path: Path) -> Iterator[Alertmanager]:
    """Yield an Alertmanager with the generated configuration, a hundred times faster, and no office hours."""
    tool("prometheus-alertmanager")
    config = delivering_to(sink.url, tmp_path / "secrets", scale=0.01)
    yield from _running(Alertmanager(tmp_path, config))


@pytest.fixture
def patient_alertmanager(tool: Tool, sink: Sink, tmp_path: Path) -> Iterator[Alertmanager]:
    """Yield one three times as fast: its groups wait for all of a flood, also where the machine is busy."""
    tool("prometheus-alertmanager")
    config = delivering_to(sink.url, tmp_path / "secrets", scale=0.3)
    yield from _running(Alertmanager(tmp_path, config))


def _running(server: Alertmanager) -> Iterator[Alertmanager]:
    server.start()
    yield server
    server.stop()


def alert(name: str, severity: str, *, ended: bool = False, **labels: str) -> dict[str, Any]:
    """Return an alert as Prometheus sends it."""
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": name, "severity": severity, "service": "orders", **labels},
        "annotations": {"summary": "Something is so.", "first_step": "Look.", "runbook_url": "https://r.example.com"},
        # A group does not wait for what is older than its wait.
        "startsAt": (now - timedelta(seconds=2) if ended else now).isoformat(),
        "endsAt": (now - timedelta(seconds=1) if ended else now + timedelta(minutes=5)).isoformat(),
    }


@pytest.mark.parametrize("severity", RECEIVERS)
async def test_a_severity_reaches_its_receivers(alertmanager: Alertmanager, sink: Sink, severity: str) -> None:
    """And no other; what has no route is seen, too."""
    alertmanager.post(alert("Example", severity))

    told = await eventually(lambda: _complete(sink.of("Example"), RECEIVERS[severity]))

    assert {message.receiver for message in told} == RECEIVERS[severity]


@pytest.mark.parametrize(
    ("severity", "env", "receivers"),
    [
        pytest.param("page", "staging", {delivery.ELSEWHERE}, id="a page on staging"),
        pytest.param("ticket", "development", {delivery.ELSEWHERE}, id="a ticket of development"),
        pytest.param("security", "staging", {SECURITY}, id="security on staging"),
        pytest.param("page", "production", {PAGE, INCIDENTS}, id="a page in production"),
    ],
)
async def test_outside_production_nobody_gets_up(
    alertmanager: Alertmanager, sink: Sink, severity: str, env: str, receivers: set[str]
) -> None:
    """But an attack there is an attack."""
    alertmanager.post(alert("Example", severity, env=env))

    told = await eventually(lambda: _complete(sink.of("Example"), receivers))

    assert {message.receiver for message in told} == receivers


async def test_a_page_tells_what_to_do(alertmanager: Alertmanager, sink: Sink) -> None:
    """What is wrong, what to do first and where the runbook is, at each receiver; and its end is told as well."""
    alertmanager.post(alert("Example", "page"))
    opened = await eventually(lambda: _complete(sink.of("Example"), {PAGE, INCIDENTS}))
    alertmanager.post(alert("Example", "page", ended=True))
    ended = await eventually(
        lambda: _complete([each for each in sink.of("Example") if each.status == "resolved"], {PAGE, INCIDENTS})
    )

    for message in opened:
        assert "Something is so." in message.text
        assert "Look." in message.text
        assert "https://r.example.com" in message.text
    assert {message.service for message in [*opened, *ended]} == {"orders"}


async def test_a_flood_is_one_message_per_cause(patient_alertmanager: Alertmanager, sink: Sink) -> None:
    """200 series of three causes, each on many instances, and of their symptoms: three pages, one for each cause."""
    causes = ["ServiceDown", "WorkerDown", "OutboxLagging"]
    flood = [alert(causes[number % 3], "page", instance=f"i-{number}") for number in range(170)]
    symptoms = [
        alert("BuyAvailabilityBudgetBurn", "page", slo="buy-availability", window=f"{number}h") for number in range(30)
    ]
    patient_alertmanager.post(*flood)
    # It silences what it has read; in production that has the time that a group waits.
    await eventually(lambda: len(patient_alertmanager.alerts()) == len(flood))
    patient_alertmanager.post(*symptoms)

    told = await eventually(lambda: _complete(_pages(sink), set(causes), by="alert"), within_seconds=60)
    # Its group waits no longer than theirs: were it not suppressed, it would have come with the second batch.
    patient_alertmanager.post(alert("CrashLooping", "page", job="http"), alert("Last", "page"))
    told = await eventually(lambda: _complete(_pages(sink), {*causes, "Last"}, by="alert"), within_seconds=60)

    assert sorted(message.alert for message in told) == sorted([*causes, "Last"])
    suppressed = {
        each["labels"]["alertname"] for each in patient_alertmanager.alerts() if each["status"]["inhibitedBy"]
    }
    assert suppressed == {"BuyAvailabilityBudgetBurn", "CrashLooping"}


@pytest.mark.parametrize("cause", inhibitions(read(slos.read()), slos.read()))
async def test_a_cause_silences_its_symptoms(alertmanager: Alertmanager, cause: str) -> None:
    """Of its own service; the same symptom of another one is told."""
    symptoms = inhibitions(read(slos.read()), slos.read())[cause]
    own = [alert(name, "page") for name in symptoms]
    others = [alert(name, "page", service="payments") for name in symptoms]
    alertmanager.post(alert(cause, "page"), *own, *others)

    def suppressed() -> set[tuple[str, str]] | None:
        found = alertmanager.alerts()
        if len(found) != 1 + 2 * len(symptoms):
            return None
        return {
            (each["labels"]["alertname"], each["labels"]["service"])
            for each in found
            if each["status"]["state"] == "suppressed"
        }

    await eventually(lambda: suppressed() == {(name, "orders") for name in symptoms})


async def test_the_page_of_a_level_says_what_its_ticket_would(alertmanager: Alertmanager) -> None:
    """The ticket of another level is told."""
    alertmanager.post(
        alert("BuyBudgetBurn", "page", slo="buy"),
        alert("BuyBudgetBurn", "ticket", slo="buy"),
        alert("ReadBudgetBurn", "ticket", slo="read"),
    )

    wanted = {("buy", "page"): "active", ("buy", "ticket"): "suppressed", ("read", "ticket"): "active"}

    def states() -> dict[tuple[str, str], str]:
        return {
            (each["labels"]["slo"], each["labels"]["severity"]): each["status"]["state"]
            for each in alertmanager.alerts()
        }

    # A ticket that is looked at before its page is known is active for a moment.
    await eventually(lambda: states() == wanted)


@pytest.mark.parametrize("hours", ["now", "another day"])
async def test_a_ticket_waits_for_office_hours(tool: Tool, sink: Sink, tmp_path: Path, hours: str) -> None:
    """A page does not."""
    tool("prometheus-alertmanager")
    config = delivering_to(sink.url, tmp_path / "secrets", scale=0.01, always=False)
    today = datetime.now(UTC).strftime("%A").lower()
    another = (datetime.now(UTC) + timedelta(days=3)).strftime("%A").lower()
    (office,) = (each for each in config["time_intervals"] if each["name"] == "office-hours")
    office["time_intervals"] = [{"weekdays": [today if hours == "now" else another]}]
    for alertmanager in _running(Alertmanager(tmp_path, config)):
        alertmanager.post(alert("Ticket", "ticket"))
        if hours == "now":
            assert await eventually(lambda: sink.of("Ticket"))
        else:
            not_now = "route is not within active time"
            assert await asyncio.to_thread(alertmanager.process.wait_for_line, not_now, timeout_seconds=10)
            assert sink.of("Ticket") == []


async def test_each_alert_is_routed_by_its_severity(tool: Tool) -> None:
    """By amtool, which finds the configuration right as well: none of them falls through."""
    names = {"page": "page", "ticket": "ticket", "security": "security", "heartbeat": "heartbeat"}
    config = str(FOLDER / OUTPUT)

    assert (await run(tool("amtool"), "check-config", config))[0] == 0
    for name, each in ALERTS.items():
        labels = (f"alertname={name}", f"severity={each.severity}", "service=orders", "env=production")
        test = ("config", "routes", "test", f"--config.file={config}", f"--verify.receivers={names[each.severity]}")
        assert (await run(tool("amtool"), *test, *labels))[0] == 0, name


def _pages(sink: Sink) -> list[Message]:
    return [message for message in sink.messages if message.receiver == PAGE]


def _complete(told: list[Message], expected: set[str], *, by: str = "receiver") -> list[Message] | None:
    return told if {getattr(message, by) for message in told} >= expected else None
