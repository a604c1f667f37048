"""patterns/feature_flags: what is answered, on whose word, and where it is written down."""

import json
from datetime import date
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
from pydantic import ValidationError
from structlog.testing import capture_logs

from app.kit.context import Context, bind
from app.patterns.feature_flags import (
    Experiment,
    FeatureFlags,
    FeatureFlagSettings,
    FixedFlags,
    Flag,
    KillSwitch,
    ReleaseFlag,
    UnregisteredFlag,
    overdue,
)
from dev.flag_server import feature

LATER = date(2100, 1, 1)
NEW = ReleaseFlag(name="parcels-new", owner="service", purpose="Parcels are new.", expires=LATER)
STOPPED = KillSwitch(name="parcels-stopped", owner="service", purpose="No parcels.", review=LATER)
ALLOWED = KillSwitch(name="parcels-allowed", owner="service", purpose="Parcels.", review=LATER, default=True)
COLOUR = Experiment(
    name="parcels-colour",
    owner="service",
    purpose="Parcels in colour.",
    variants=("grey", "red"),
    default="grey",
    expires=LATER,
)
# The actor `customer-7`, as rules see it: `printf %s customer-7 | sha256sum | cut -c 1-32`
HASHED = "acade5fe58d0b5a805a02b8b3a546d8e"


def flags_of(folder: Path, *features: dict[str, object], cached: str | None = None) -> FeatureFlags:
    """Return flags with these rules to begin with, and a cache if there is one."""
    bootstrap = folder / "bootstrap.json"
    bootstrap.write_text(json.dumps({"version": 2, "features": features}))
    settings = FeatureFlagSettings(bootstrap_file=bootstrap, cache_folder=folder / "cache")
    if cached is not None:
        (folder / "cache").mkdir()
        (folder / "cache" / "feature_flags-parcels-test.json").write_text(cached)
    return FeatureFlags([NEW, STOPPED, ALLOWED, COLOUR], settings, service="parcels", env="test")


def constrained(name: str, context_name: str, value: str) -> dict[str, object]:
    """Return a flag that is on where the context has this value."""
    return feature(name, on=True, constraints=[{"contextName": context_name, "operator": "IN", "values": [value]}])


@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
def test_rules_decide(tmp_path: Path, on: bool) -> None:  # noqa: FBT001 - the case
    """What is known of a flag wins over its default."""
    flags = flags_of(tmp_path, feature("parcels-new", on=on), feature("parcels-allowed", on=on))

    assert (flags.is_on(NEW), flags.is_on(ALLOWED)) == (on, on)


def test_without_rules_the_default_answers(tmp_path: Path) -> None:
    """A flag that nobody has made yet, or has deleted, is as its declaration says."""
    flags = flags_of(tmp_path)

    assert (flags.is_on(NEW), flags.is_on(STOPPED), flags.is_on(ALLOWED)) == (False, False, True)
    assert flags.variant(COLOUR) == "grey"


@pytest.mark.parametrize(
    ("context", "context_name", "value", "expected"),
    [
        pytest.param(Context(tenant="acme"), "tenant", "acme", True, id="tenant"),
        pytest.param(Context(tenant="globex"), "tenant", "acme", False, id="another tenant"),
        pytest.param(Context(), "tenant", "acme", False, id="no tenant"),
        pytest.param(Context(actor="customer-7"), "userId", HASHED, True, id="hashed user"),
        pytest.param(Context(actor="customer-7"), "userId", "customer-7", False, id="the user's own id"),
        pytest.param(Context(), "environment", "test", True, id="environment"),
        pytest.param(Context(), "appName", "parcels", True, id="service"),
    ],
)
def test_rules_ask_about_the_work_in_hand(
    tmp_path: Path,
    context: Context,
    context_name: str,
    value: str,
    expected: bool,  # noqa: FBT001 - the case
) -> None:
    """Tenant, environment and service as they are; the user only hashed, so that no rule holds a user's id."""
    flags = flags_of(tmp_path, constrained("parcels-new", context_name, value))

    with bind(context):
        assert flags.is_on(NEW) is expected


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("red", "red"), ("blue", "grey")],
    ids=["one that is declared", "one that the code does not know"],
)
def test_a_variant_is_one_of_those_declared(tmp_path: Path, variant: str, expected: str) -> None:
    """Whatever the server names, the code gets what it was written for."""
    rules = feature("parcels-colour", on=True)
    rules["variants"] = [{"name": variant, "weight": 1000, "stickiness": "default"}]

    assert flags_of(tmp_path, rules).variant(COLOUR) == expected


def test_what_was_fetched_last_wins_over_what_to_begin_with(tmp_path: Path) -> None:
    """The bootstrap file was written with the release, the cache since then."""
    cached = json.dumps({"version": 2, "features": [feature("parcels-new", on=True)]})

    assert flags_of(tmp_path, feature("parcels-new", on=False), cached=cached).is_on(NEW)


WHOLE = json.dumps({"version": 2, "features": [feature("parcels-new", on=False)]})
DAMAGED = {
    "empty": "",
    "cut off": WHOLE[:40],
    "another document": '{"message": "not found"}',
    "a list": "[]",
    "a feature without a name": '{"version": 2, "features": [{}]}',
    "a feature that is none": '{"version": 2, "features": [7]}',
    "without strategies": '{"version": 2, "features": [{"name": "parcels-new", "enabled": true, "strategies": null}]}',
    "a type that the engine refuses": WHOLE.replace("false", '"no"'),
    "without a version": WHOLE.replace('"version": 2, ', ""),
    "brackets without end": "[" * 100_000,
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_cache_is_told_and_ignored(tmp_path: Path, text: str) -> None:
    """The next in line answers; the engine by itself would take some of these, and then know no flag."""
    with capture_logs() as logs:
        flags = flags_of(tmp_path, feature("parcels-new", on=True), cached=text)

    assert flags.is_on(NEW)
    assert [line["kind"] for line in logs if line["event"] == "feature_flags.file_ignored"] == ["cache"]


@pytest.mark.parametrize("what", ["missing", "a folder", "no text"])
def test_a_bootstrap_file_that_cannot_be_read_is_told_and_ignored(tmp_path: Path, what: str) -> None:
    """The process starts, with defaults."""
    path = tmp_path / "bootstrap.json"
    if what == "a folder":
        path.mkdir()
    if what == "no text":
        path.write_bytes(b"\xff\xfe\x00")

    with capture_logs() as logs:
        flags = FeatureFlags([NEW], FeatureFlagSettings(bootstrap_file=path), service="parcels", env="test")

    assert not flags.is_on(NEW)
    assert [(line["event"], line["kind"]) for line in logs] == [("feature_flags.file_ignored", "bootstrap")]


def test_a_flag_that_was_not_registered_is_a_mistake_in_the_code(tmp_path: Path) -> None:
    """Also one that has the name of a registered flag, and another default."""
    twin = ReleaseFlag(name="parcels-new", owner="service", purpose="Parcels are new.", expires=LATER, default=True)

    with pytest.raises(UnregisteredFlag, match="parcels-new"):
        flags_of(tmp_path).is_on(twin)
    with pytest.raises(ValueError, match="two flags are named parcels-new"):
        FeatureFlags([NEW, twin], FeatureFlagSettings(), service="parcels", env="test")


def test_an_answer_is_on_the_metric_and_in_the_tally(tmp_path: Path) -> None:
    """So the line of the request tells it, too."""
    flags = flags_of(tmp_path, feature("parcels-new", on=True))
    before = _counted("parcels-new", "on")

    with bind(Context()) as work:
        flags.is_on(NEW)
        flags.variant(COLOUR)

    assert work.tally.flags == {"parcels-new": "on", "parcels-colour": "grey"}
    assert _counted("parcels-new", "on") == before + 1


def test_an_answer_is_on_the_metric_before_anybody_asks() -> None:
    """Or rate() would miss the first."""
    unasked = KillSwitch(name="parcels-unasked", owner="service", purpose="Nobody asks.", review=date(2100, 1, 1))

    FeatureFlags([unasked], FeatureFlagSettings.model_validate({}), service="parcels", env="test")

    assert [_counted("parcels-unasked", answer) for answer in ("off", "on")] == [0, 0]


@pytest.mark.parametrize(("ratio", "expected"), [(1, 1), (0, 0)], ids=["sampled", "not sampled"])
def test_an_answer_is_an_event_of_the_span_once(tmp_path: Path, ratio: int, expected: int) -> None:
    """As the semantic conventions have it; asked twice within one piece of work, it is one event."""
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415 - for this test alone

    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=TraceIdRatioBased(ratio))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    flags = flags_of(tmp_path, feature("parcels-new", on=True))

    with bind(Context()), provider.get_tracer("test").start_as_current_span("work"):
        flags.is_on(NEW)
        flags.is_on(NEW)
    events = [event for span in exporter.get_finished_spans() for event in span.events]
    provider.shutdown()

    attributes = {"feature_flag.key": "parcels-new", "feature_flag.result.variant": "on"}
    assert [(event.name, event.attributes) for event in events] == [("feature_flag.evaluation", attributes)] * expected


def test_fixed_flags_answer_as_told() -> None:
    """And with the default where nothing was told."""
    flags = FixedFlags({NEW: True}, {COLOUR: "red"})

    assert (flags.is_on(NEW), flags.is_on(ALLOWED), flags.variant(COLOUR)) == (True, True, "red")
    assert FixedFlags().variant(COLOUR) == "grey"


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param({"url": "unleash:4242"}, id="no scheme"),
        pytest.param({"url": "http://unleash:port/api"}, id="no port"),
        pytest.param({"url": "http://[::1/api"}, id="no address"),
        pytest.param({"token": "*:development.secret\n"}, id="end of line"),
        pytest.param({"token": "schlüssel"}, id="no header"),
    ],
)
def test_a_server_that_cannot_be_asked_is_refused_at_the_start(setting: dict[str, str]) -> None:
    """And what is wrong with a token does not repeat it."""
    with pytest.raises(ValidationError) as raised:
        FeatureFlagSettings.model_validate(setting)

    assert "secret" not in raised.value.errors(include_input=False)[0]["msg"]


@pytest.mark.parametrize("name", ["Parcels-new", "parcels", "parcels_new", "-new", ""])
def test_a_bad_name_is_refused(name: str) -> None:
    """Names are the same in code, server, metrics and logs."""
    with pytest.raises(ValueError, match="is no name of a flag"):
        ReleaseFlag(name=name, owner="service", purpose="New.", expires=LATER)


def test_a_flag_needs_an_owner_and_an_experiment_a_default_of_its_own() -> None:
    """Nobody's flag is never removed."""
    with pytest.raises(ValueError, match="lacks an owner or a purpose"):
        KillSwitch(name="parcels-stopped", owner="", purpose="No parcels.", review=LATER)
    with pytest.raises(ValueError, match="its default is none of its variants"):
        Experiment(name="a-b", owner="o", purpose="p", variants=("a", "b"), default="c", expires=LATER)


ENDS = date(2026, 5, 1)
OVERDUE: dict[str, tuple[Flag, str]] = {
    "a release flag": (
        ReleaseFlag(name="a-b", owner="service", purpose="p", expires=ENDS),
        "a-b: its time was over on 2026-05-01; service: delete the flag and the side that lost",
    ),
    "a kill switch": (
        KillSwitch(name="a-b", owner="platform", purpose="p", review=ENDS),
        "a-b: its time was over on 2026-05-01; platform: try it, and set the date of the next review",
    ),
    "an experiment": (
        Experiment(name="a-b", owner="service", purpose="p", variants=("a",), default="a", expires=ENDS),
        "a-b: its time was over on 2026-05-01; service: keep one variant, and delete the others and the flag",
    ),
}


@pytest.mark.parametrize("kind", OVERDUE)
def test_a_flag_is_overdue_from_the_day_after(kind: str) -> None:
    """What to do, and who does it, is said."""
    flag, told = OVERDUE[kind]

    assert overdue([flag], date(2026, 5, 1)) == []
    assert overdue([flag], date(2026, 5, 2)) == [told]


def _counted(flag: str, variant: str) -> float:
    value = REGISTRY.get_sample_value("feature_flag_evaluations_total", {"flag": flag, "variant": variant})
    assert value is not None
    return value
