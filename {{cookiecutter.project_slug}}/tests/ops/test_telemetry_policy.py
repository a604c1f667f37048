"""The telemetry policy is read, and a mistake in it is refused by name."""

from pathlib import Path

import pytest

from app.patterns.metrics import BUCKETS
from app.telemetry_policy import BadPolicy, load
from dev.telemetry_policy.places import POLICY, read

TEXT = POLICY.read_text()


def test_the_policy_is_good() -> None:
    """The file that is here can be read, and says what stands in it."""
    policy = read()

    assert policy.retention_days.traces == 7
    assert policy.access["on_call"].streams == ["app", "security"]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        pytest.param("traces: 7", "trace: 7", "retention_days.trace: Extra inputs are not permitted", id="unknown key"),
        pytest.param("traces: 7", "", "retention_days.traces: Field required", id="missing key"),
        pytest.param("traces: 7", "traces: 0", "retention_days.traces: Input should be greater than", id="no days"),
        pytest.param("traces: 7", "traces: 7d", "retention_days.traces: Input should be a valid integer", id="unit"),
        pytest.param(
            "traces: 7", "traces: yes", "retention_days.traces: Input should be a valid integer", id="boolean"
        ),
        pytest.param("traces: 7", "traces: 4000", "retention_days.traces: Input should be less than", id="a lifetime"),
        pytest.param("traces: 7", "traces: 7\n  traces: 8", "traces is there twice", id="twice"),
        pytest.param(
            "rest_ratio: 0.25", "rest_ratio: 25", "sampling.traces.rest_ratio: Input should be less", id="percent"
        ),
        pytest.param(
            "production: 0.1", "production: 0", "head_ratio.production: Input should be greater", id="no traces"
        ),
        pytest.param(
            "new_series_per_1000_requests: 0", "new_series_per_1000_requests: -1", "new_series", id="negative"
        ),
        pytest.param("currency: USD", "currency: $", "prices.currency: String should match", id="currency"),
        pytest.param("streams: [audit]", "streams: [audits]", "access.auditor.streams.0: Input should be", id="stream"),
        pytest.param("[staging]", "[test]", "access.developer.environments.0: Input should be", id="environment"),
        pytest.param("streams: [audit]", "streams: []", "access.auditor.streams: List should have", id="no stream"),
        pytest.param("  on_call:", "  On Call:", "access.On Call", id="role"),
        pytest.param("app_warning: 30", "app_warning: 7", "app_warning must not be shorter", id="warnings before info"),
        pytest.param("slo_series: 400", "slo_series: 7", "slo_series must not be shorter", id="recorded before raw"),
        pytest.param(
            "  series_per_process: 6000", "  series_per_process: 9", "must not be above cardinality", id="cap"
        ),
        pytest.param("retention_days:", "retention_days: {", "is not YAML", id="syntax"),
    ],
)
def test_a_mistake_is_refused_by_name(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    """Unknown keys, wrong types, impossible values and contradictions each end in one line that names the key."""
    path = tmp_path / "policy.yaml"
    path.write_text(TEXT.replace(right, wrong, 1))

    with pytest.raises(BadPolicy) as refused:
        load(path)

    assert TEXT.count(right) >= 1
    assert str(path) in str(refused.value)
    assert message in str(refused.value)


def test_every_mistake_is_listed(tmp_path: Path) -> None:
    """Who made two mistakes hears of both at once."""
    path = tmp_path / "policy.yaml"
    path.write_text(TEXT.replace("traces: 7", "traces: 0").replace("replicas: 4", "replica: 4"))

    with pytest.raises(BadPolicy) as refused:
        load(path)

    assert [line.split(":")[0].strip() for line in str(refused.value).splitlines()[1:]] == [
        "retention_days.traces",
        "assumed.replicas",
        "assumed.replica",
    ]


@pytest.mark.parametrize("text", ["", "- 1", "7"], ids=["empty", "list", "number"])
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str) -> None:
    """A file of another kind is no empty policy."""
    path = tmp_path / "policy.yaml"
    path.write_text(text)

    with pytest.raises(BadPolicy, match="policy: Input should be a valid dictionary"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message says which file is not there."""
    with pytest.raises(BadPolicy, match=r"nowhere\.yaml cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")


def test_what_counts_as_slow_is_a_bound_of_the_histogram() -> None:
    """So every exemplar above that bound leads to a trace that the collector keeps."""
    assert read().sampling.slow_seconds in BUCKETS
