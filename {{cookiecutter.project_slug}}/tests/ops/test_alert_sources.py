"""ops/alerts.yaml: a mistake in it is told with its line and its reason, and nothing is generated from it."""

from pathlib import Path

import pytest

from dev.ops.alerts import SOURCE, read
from dev.ops.lines import BadSource, Document
from dev.ops.slos import read as read_levels

# A change of the file, and what is told of it.
MISTAKES = {
    "a page without impact": (
        "    impact: Customers get no answer.\n",
        "",
        "ServiceDown.severity: a page says in `impact` what users notice",
    ),
    "a page that a deployment silences": (
        "    dashboard: service\n    inhibits: [CrashLooping",
        "    dashboard: service\n    deploy_sensitive: true\n    inhibits: [CrashLooping",
        "ServiceDown.deploy_sensitive: a deployment never silences a page",
    ),
    "a metric that nobody exposes": (
        "read_replicas_lag_seconds) > $lag",
        "read_replica_lag_seconds) > $lag",
        "ReplicationLagHigh.expr: nothing exposes read_replica_lag_seconds; see docs/metrics.md",
    ),
    "a label that was renamed": (
        'health_check_success{check="database"}) == 0\n    for',
        'health_check_success{name="database"}) == 0\n    for',
        "DatabaseDown.expr: health_check_success has no label name, but check",
    ),
    "a value that no series has": (
        'db_client_connections{state="used"} /',
        'db_client_connections{state="busy"} /',
        "DatabasePoolSaturated.expr: db_client_connections has no such state: 'busy' is none of its values: used, idle",
    ),
    "a group that no metric has": (
        "max by (service, replica)",
        "max by (service, server)",
        "ReplicationLagHigh.expr: it groups by server, which none of its metrics has",
    ),
    "no PromQL": (
        "expr: max by (service) (outbox_parked_events) > 0",
        "expr: max by (service (outbox_parked_events) > 0",
        "OutboxEventsParked.expr: it is no PromQL: ",
    ),
    "a value that is not there": ("$age", "$old", "OutboxLagging.expr: $old is none of its values: age"),
    "a value that nothing uses": (
        "values: {age: 10m}",
        "values: {age: 10m, more: 1}",
        "OutboxLagging.values.more: its expression does not use it",
    ),
    "a symptom that is no alert": ("inhibits: [CrashLooping", "inhibits: [Crashes", "there is no alert Crashes"),
    "a symptom that is no level": ("[buy-availability, read", "[sell, read", "there is no service level sell"),
    "an example that never fires": (
        "        fires: 11m30s\n",
        "        fires: never\n",
        "OutboxLagging.examples: none of them fires, so nothing shows that it can",
    ),
    "a moment that is none": (
        "        fires: 11m30s\n",
        "        fires: soon\n",
        "OutboxLagging.examples.0.fires: 'soon' is neither a duration, such as 1m30s, nor never",
    ),
    "an unknown severity": ("severity: heartbeat", "severity: low", "Watchdog.severity: Input should be 'page',"),
    "an unknown dashboard": ("dashboard: events", "dashboard: queues", "WorkerDown.dashboard: Input should be"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, mistake: str) -> None:
    """Where it is, what it is, and what would be right."""
    before, after, told = MISTAKES[mistake]
    text = SOURCE.read_text()
    assert before in text
    path = tmp_path / "alerts.yaml"
    path.write_text(text.replace(before, after, 1))

    with pytest.raises(BadSource) as raised:
        read(read_levels(), Document(path))

    first = next(line for line in str(raised.value).splitlines() if told in line)
    name, number, _ = first.split(":", 2)
    alert = told.partition(".")[0] if "." in told else "ServiceDown"
    assert name == "alerts.yaml"
    assert _alert_of(path.read_text(), int(number)) == alert


def test_a_time_that_an_alert_compares_with_is_scaled() -> None:
    """A duration among the values is put in as seconds; where time is compressed, it is compressed with it."""
    alert = read(read_levels()).alerts["OutboxLagging"]

    assert alert.expression().endswith("> 600")
    assert alert.expression(scale=0.01).endswith("> 6")
    assert read(read_levels()).alerts["DatabasePoolSaturated"].expression(scale=0.01) == (
        read(read_levels()).alerts["DatabasePoolSaturated"].expression()
    )


def _alert_of(text: str, number: int) -> str:
    """Return the alert that a line belongs to."""
    lines = text.splitlines()[:number]
    return next(line.strip(" :") for line in reversed(lines) if line.startswith("  ") and line[2].isupper())
