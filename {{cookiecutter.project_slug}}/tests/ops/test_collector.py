"""The collector's configuration is complete and in order, as far as that can be seen without running it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.environment import ROOT
from tests.ops.collector_keys import COMPONENTS, OPERATORS

Config = dict[str, Any]
LOGS = ROOT / "ops" / "collector" / "logs.yaml"
TRACES = ROOT / "ops" / "collector" / "traces.yaml"
KINDS = ("receivers", "processors", "connectors", "exporters", "extensions")
LINE = (
    '{"timestamp":"2026-11-23T10:15:30.123Z","level":"info","service":"orders","env":"production","version":"4f0c2aa",'
    '"event":"http.request","request_id":"01JDC4T8M1XW9","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736",'
    '"span_id":"00f067aa0ba902b7","tenant":"acme","actor":"customer-7","module":"http","error_code":null,'
    '"method":"POST","route":"/v1/orders","status":201,"duration_ms":12.34,"request_bytes":4096,"response_bytes":512}'
)


def merged(base: Config, over: Config) -> Config:
    """Return what the collector makes of two files: mappings are merged, everything else is replaced."""
    both = {key: merged(base[key], over[key]) for key in base.keys() & over.keys() if isinstance(base[key], dict)}
    return {**base, **over, **both}


def read(path: Path) -> Config:
    """Return one configuration."""
    config: Config = yaml.safe_load(path.read_text())
    return config


# Where the service was made for a cloud, its log groups take the place of Loki.
OVER = sorted(ROOT.glob("deploy/*/collector.yaml"))
CONFIGS = {
    "logs": read(LOGS),
    "traces": read(TRACES),
    **{f"logs to {path.parent.name}": merged(read(LOGS), read(path)) for path in OVER},
}
EACH = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
OF_LOGS = {name: config for name, config in CONFIGS.items() if name != "traces"}


def paths(value: object, prefix: str = "") -> Iterator[str]:
    """Yield the name of everything that is set, such as `policies[].latency.threshold_ms`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{prefix}[]")
    else:
        yield prefix


@EACH
def test_every_key_is_one_that_the_component_documents(config: Config) -> None:
    """A misspelt key ends the collector's start; here it is found before."""
    unknown = [
        f"{name}: {path}"
        for kind in KINDS
        for name, settings in config.get(kind, {}).items()
        for path in paths(settings)
        if path not in COMPONENTS[name.partition("/")[0]]
    ]

    assert unknown == []
    assert set(config) <= {*KINDS, "service"}


@EACH
def test_pipelines_name_what_is_declared(config: Config) -> None:
    """Each part of a pipeline is declared, and each declared part but those that an overlay has replaced is in one."""
    pipelines = config["service"]["pipelines"].values()
    declared = {kind: set(config.get(kind, {})) for kind in KINDS}
    used = {kind: {name for pipeline in pipelines for name in pipeline.get(kind, [])} for kind in KINDS[:4]}

    assert used["receivers"] <= declared["receivers"] | declared["connectors"]
    assert used["exporters"] <= declared["exporters"] | declared["connectors"]
    assert used["processors"] == declared["processors"]
    assert declared["receivers"] <= used["receivers"]
    assert declared["connectors"] <= used["receivers"] & used["exporters"]
    assert set(config["service"].get("extensions", [])) == declared["extensions"]
    stored = {found for kind in KINDS for found in re.findall(r"'storage': '(\w+)'", str(config.get(kind)))}
    assert stored <= declared["extensions"]


@pytest.mark.parametrize("path", [LOGS, TRACES], ids=["logs", "traces"])
def test_no_exporter_is_left_over(path: Path) -> None:
    """What is declared to be sent to is sent to."""
    config = read(path)

    sent_to = {name for pipeline in config["service"]["pipelines"].values() for name in pipeline["exporters"]}
    assert config["exporters"].keys() <= sent_to


@EACH
def test_what_comes_from_outside_is_limited_then_masked(config: Config) -> None:
    """Memory is guarded before anything is done, and nothing is kept or passed on that the second wall has not seen."""
    from_outside = [
        pipeline["processors"]
        for pipeline in config["service"]["pipelines"].values()
        if not set(pipeline["receivers"]) & set(config.get("connectors", {}))
    ]

    assert from_outside != []
    assert [processors[:2] for processors in from_outside] == [["memory_limiter", "redaction"]] * len(from_outside)


@EACH
def test_every_exporter_has_a_bounded_queue(config: Config) -> None:
    """A store that is away fills a queue of known length; lines wait in their file then."""
    queues = {name: exporter["sending_queue"] for name, exporter in config["exporters"].items()}

    assert [name for name, queue in queues.items() if not 0 < queue["queue_size"] <= 100_000] == []
    if "file_log" in config["receivers"]:
        assert [name for name, queue in queues.items() if not queue["block_on_overflow"]] == []


@EACH
def test_addresses_come_from_outside(config: Config) -> None:
    """No exporter knows where anything is: the environment does."""
    addresses = [exporter.get("endpoint") or exporter["log_group_name"] for exporter in config["exporters"].values()]

    assert [address for address in addresses if "${env:" not in address] == []


@pytest.mark.parametrize(
    ("event", "stream"),
    [
        ("http.request", "app"),
        ("security.token_refused", "security"),
        ("audit.order_cancelled", "audit"),
        ("securityish.thing", "app"),
        ("orders.security.thing", "app"),
        (None, "app"),
    ],
)
@pytest.mark.parametrize("config", OF_LOGS.values(), ids=OF_LOGS)
def test_a_line_goes_to_the_stream_that_its_first_word_names(config: Config, event: str | None, stream: str) -> None:
    """The routing conditions, tried in their order, part the streams; what has no event is the application's."""
    routing = config["connectors"]["routing"]
    conditions = [
        (re.fullmatch(r'IsMatch\(attributes\["event"\], "(.+)"\)', route["condition"]), route["pipelines"])
        for route in routing["table"]
    ]

    (pipeline,) = next(
        (
            pipelines
            for condition, pipelines in conditions
            if condition and event and re.search(condition[1].replace("\\\\", "\\"), event)
        ),
        routing["default_pipelines"],
    )
    (exporter,) = config["service"]["pipelines"][pipeline]["exporters"]
    assert exporter.partition("/")[2] == stream
    assert stream in (
        config["exporters"][exporter].get("headers", {}).get("X-Scope-OrgID"),
        config["exporters"][exporter].get("log_group_name", "").rpartition("/")[2],
    )


def test_security_and_audit_are_never_given_up() -> None:
    """Their lines wait on disk for as long as it takes."""
    kept = {
        name: (exporter.get("retry_on_failure"), exporter["sending_queue"].get("storage"))
        for config in OF_LOGS.values()
        for name, exporter in config["exporters"].items()
        if not name.endswith("/app")
    }

    assert len(kept) == 2 * (1 + len(OVER))
    assert set(map(str, kept.values())) == {str(({"max_elapsed_time": 0}, "file_storage"))}


def test_operators_are_known_and_only_the_event_is_kept_beside_the_line() -> None:
    """The line is parsed for its time, level, trace and event, and paid for once."""
    operators = CONFIGS["logs"]["receivers"]["file_log"]["operators"]

    assert {operator["type"] for operator in operators} <= OPERATORS
    assert operators[-1] == {"type": "retain", "fields": ["attributes.event"]}


def test_tail_sampling_keeps_errors_slow_traces_and_a_share() -> None:
    """Three rules, each enough by itself, and each with the settings of its type."""
    policies = CONFIGS["traces"]["processors"]["tail_sampling"]["policies"]

    assert [(policy["name"], policy["type"]) for policy in policies] == [
        ("errors", "status_code"),
        ("slow", "latency"),
        ("rest", "probabilistic"),
    ]
    assert [set(policy) for policy in policies] == [{"name", "type", policy["type"]} for policy in policies]
    assert policies[0]["status_code"] == {"status_codes": ["ERROR"]}


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("Authorization: Bearer q8Zr4nXw2mJt6vKb1cYd", id="bearer token"),
        pytest.param("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjdXN0b21lciJ9.c2lnbmF0dXJl", id="JWT"),
        pytest.param("jane.doe+tea@mail.example.com", id="e-mail"),
        pytest.param("4111111111111111", id="Visa"),
        pytest.param("5555555555554444", id="Mastercard"),
        pytest.param("378282246310005", id="American Express"),
        pytest.param("DE89 3704 0044 0532 0130 00", id="IBAN with spaces"),
        pytest.param("GB29NWBK60161331926819", id="IBAN"),
        pytest.param("postgresql://app:s3cret@db:5432/app", id="password in a URL"),
        pytest.param("-----BEGIN EC PRIVATE KEY-----", id="private key"),
    ],
)
def test_the_second_wall_masks(secret: str) -> None:
    """Each kind of secret, in the middle of a line, is matched by a pattern of both collectors."""
    masks = [config["processors"]["redaction"]["blocked_values"] for config in CONFIGS.values()]
    line = LINE.replace('"http.request"', f'"http.request","said":"it was {secret}, he said"')

    assert masks == [masks[0]] * len(masks)
    assert [pattern for pattern in masks[0] if re.search(pattern, line, re.ASCII)] != []


def test_the_second_wall_leaves_an_ordinary_line_alone() -> None:
    """Nothing that a request always leaves behind looks like a secret."""
    patterns = CONFIGS["logs"]["processors"]["redaction"]["blocked_values"]

    assert [pattern for pattern in patterns if re.search(pattern, LINE, re.ASCII)] == []
