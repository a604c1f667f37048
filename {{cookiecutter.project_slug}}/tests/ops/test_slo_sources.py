"""ops/slo.yaml: what it says is checked against the code, and a mistake is told with its line and its reason."""

from pathlib import Path

import pytest

from dev.ops import alerts, generated, pages, rule_tests, rules, runbooks, slos
from dev.ops.lines import BadSource, Document
from dev.ops.slos import SOURCE

MISTAKES = {
    "no bound of a bucket": (
        "within_seconds: 0.5",
        "within_seconds: 0.3",
        "slos.buy-latency.within_seconds: 0.3 is no bound of a bucket of http_server_request_duration_seconds; ",
    ),
    "an unknown metric": (
        "events: {metric: inbox_delivery_delay_seconds}",
        "events: {metric: inbox_delay_seconds}",
        "slos.event-delivery.events.metric: inbox_delay_seconds is neither a histogram nor a counter of this service",
    ),
    "an unknown label": (
        "bad: {http_response_status_code: 5..}",
        "bad: {status: 5..}",
        "slos.buy-availability.bad.status: http_server_request_duration_seconds has no label status, but http_route",
    ),
    "a value that no series has": (
        "bad: {outcome: keys_unavailable}",
        "bad: {outcome: keys_missing}",
        "slos.login.bad.outcome: 'keys_missing' is none of its values: accepted, keys_unavailable, missing",
    ),
    "no regular expression": (
        "bad: {http_response_status_code: 5..}",
        "bad: {http_response_status_code: '5[.'}",
        "slos.buy-availability.bad.http_response_status_code: '5[.' is no regular expression",
    ),
    "a burn rate that cannot be reached": (
        "objective: 99.5",
        "objective: 93",
        "burn_rates.0: it cannot be reached: 14.4 times the budget of event-delivery is 101% of all events",
    ),
    "an alert without a reason to act": (
        "impact: Customers cannot place orders.",
        "impact: ''",
        "slos.buy-availability.impact: String should match pattern",
    ),
    "no impact at all": (
        "    impact: Customers cannot place orders.\n",
        "",
        "slos.buy-availability.impact: Field required",
    ),
    "bad in two ways": (
        "within_seconds: 0.5",
        "within_seconds: 0.5\n    bad: {http_response_status_code: 5..}",
        "slos.buy-latency: Value error, say either `bad` or `within_seconds`",
    ),
    "bad by two labels": (
        "bad: {outcome: keys_unavailable}",
        "bad: {outcome: keys_unavailable, reason: x}",
        "slos.login.bad: Dictionary should have at most 1 item",
    ),
    "windows the wrong way round": (
        "short: 5m",
        "short: 2h",
        "Value error, short must be shorter than long, which is 1h",
    ),
    "no duration": ("long: 1h", "long: 60", "burn_rates.0.long: "),
    "an unknown word": (
        "objective: 99.5",
        "objektive: 99.5",
        "slos.event-delivery.objektive: Extra inputs are not permitted",
    ),
    "no YAML": ("burn_rates:", "burn_rates: [", "expected"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, mistake: str) -> None:
    """Nothing is generated from it."""
    right, wrong, reason = MISTAKES[mistake]
    text = SOURCE.read_text()
    assert right in text
    path = tmp_path / "slo.yaml"
    path.write_text(text.replace(right, wrong, 1))

    with pytest.raises(BadSource) as refused:
        slos.read(Document(path))

    told = str(refused.value).splitlines()
    assert any(reason in line for line in told), told
    _, number, place, *_ = told[0].split(":")
    line = path.read_text().splitlines()[int(number) - 1]
    named = [f"{key}:" for key in place.strip().split(".")]
    assert any(key in line for key in named) or line.lstrip().startswith("- {") or mistake == "no YAML"


def test_what_is_generated_is_up_to_date() -> None:
    """`make ops` has been run; a second run changes nothing."""
    wanted = generated.outputs()

    assert [path for path, text in wanted.items() if not path.exists() or path.read_text() != text] == []
    outside = {path for path in wanted if not path.is_relative_to(generated.FOLDER)}
    assert {*generated.there(), *outside} == set(wanted)
    assert generated.PAGE in outside


def test_a_service_level_is_one_edit(tmp_path: Path) -> None:
    """The one of docs/slo.md: rules, alerts and their tests follow from it."""
    example = generated.PAGE.read_text().split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "slo.yaml"
    path.write_text(SOURCE.read_text() + "\n" + example)

    levels = slos.read(Document(path))
    files = {**rules.rule_files(levels), **rule_tests.test_files(levels)}
    made = pages.pages(alerts.read(levels), levels)

    assert [name for name in files if name.startswith("cancel-availability.")] == [
        "cancel-availability.recording.rules.yaml",
        "cancel-availability.alerts.rules.yaml",
        "cancel-availability.recording.test.yaml",
        "cancel-availability.alerts-every-1m.test.yaml",
        "cancel-availability.alerts-every-5m.test.yaml",
    ]
    assert "CancelAvailabilityBudgetBurn" in files["cancel-availability.alerts.rules.yaml"]
    runbook = made[runbooks.FOLDER / "CancelAvailabilityBudgetBurn.md"]
    (tmp_path / "CancelAvailabilityBudgetBurn.md").write_text(runbook)
    runbooks.check(["CancelAvailabilityBudgetBurn"], tmp_path)


def test_detection_is_as_the_workbook_says() -> None:
    """For 99.9 % in 30 days: an outage pages after a minute and `for`; twice the budget never, within a day."""
    levels = slos.read()
    slo = levels.slos["buy-availability"]
    factors = [float(rate.factor(levels.window_days)) for rate in levels.burn_rates]

    assert factors == [14.4, 6.0, 3.0, 1.0]
    assert float(slo.budget) == 0.001
