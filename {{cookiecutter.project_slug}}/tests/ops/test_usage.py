"""A metric that nobody looks at costs series and says nothing."""

import pytest

from app.kit.instruments import DECLARED, Declaration
from dev.ops import alerts, slos, usage
from dev.ops.dashboards.checked import metrics

LEVELS = slos.read()
ALERTS = alerts.read(LEVELS)


def test_every_metric_is_looked_at_or_justified() -> None:
    """By a rule, an alert, a dashboard or a runbook; and what is looked at needs no justification."""
    assert usage.idle(ALERTS, LEVELS) == set(usage.JUSTIFIED)
    assert len(DECLARED) > 50


def test_a_metric_that_nobody_looks_at_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose name begins like another's."""
    monkeypatch.setitem(DECLARED, "outbox_oldest_age_seconds_ago", Declaration("gauge", {}, 1, 1))

    assert usage.idle(ALERTS, LEVELS) - set(usage.JUSTIFIED) == {"outbox_oldest_age_seconds_ago"}


def test_a_histogram_is_looked_at_by_any_of_its_series() -> None:
    """Its buckets, its count or its sum."""
    queries = ("rate(event_loop_lag_seconds_bucket[5m])", "rate(http_client_request_duration_seconds_count[5m])")

    assert metrics(queries) == {"event_loop_lag_seconds", "http_client_request_duration_seconds"}
