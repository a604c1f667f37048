"""Rules in which time passes faster: windows of hours become seconds, thresholds on ratios stay."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from dev.ops import cause_rules
from dev.ops.alerts import Alerts
from dev.ops.durations import seconds, written
from dev.ops.rules import rule_files
from dev.ops.slos import Slos

SCALE = 0.01
"""An hour is 36 seconds, five minutes are three."""
EVALUATION = "1s"
SCRAPE = "600ms"  # the shortest window must hold five scrapes: with fewer, alerts come and go
_TIMES = re.compile(r"(?P<before>\[|offset )(?P<time>\d+[smhd])")


def rules(alerts: Alerts, levels: Slos, scale: float = SCALE) -> Mapping[str, str]:
    """Return all files of rules, by name."""
    files = {**rule_files(levels), **cause_rules.rule_files(alerts, scale=scale)}
    return {name: yaml.safe_dump(_scaled_file(yaml.safe_load(text), scale)) for name, text in files.items()}


def scaled(expression: str, scale: float = SCALE) -> str:
    """Return an expression whose windows and offsets are multiplied by `scale`."""
    return _TIMES.sub(lambda found: f"{found['before']}{written(seconds(found['time']) * scale)}", expression)


def prometheus_config(
    files: Iterable[str],
    targets: Mapping[str, Mapping[str, list[str]]],
    alertmanager: str,
    outside: Mapping[str, tuple[str, Mapping[str, str]]],
) -> dict[str, Any]:
    """Return prometheus.yml.

    `targets` has, by service and by job, the addresses to scrape; `outside`, by service, a blackbox_exporter's address
    and what it is asked, by module.
    """
    jobs = sorted({job for service in targets.values() for job in service})
    return {
        "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": EVALUATION},
        "rule_files": [*files],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            *({"job_name": job, "static_configs": [*_of_job(job, targets)]} for job in jobs),
            *(
                _asked(service, exporter, *asked)
                for service, (exporter, questions) in outside.items()
                for asked in questions.items()
            ),
        ],
    }


def _asked(service: str, exporter: str, module: str, target: str) -> dict[str, Any]:
    """What blackbox_exporter is asked: the target is a parameter, and is named as if it had been scraped."""
    return {
        "job_name": f"blackbox-{module}",
        "metrics_path": "/probe",
        "params": {"module": [module], "target": [target]},
        "static_configs": [{"targets": [exporter], "labels": {"service": service}}],
        "relabel_configs": [{"target_label": "instance", "replacement": target}],
    }


def _of_job(job: str, targets: Mapping[str, Mapping[str, list[str]]]) -> Iterator[dict[str, Any]]:
    for service, by_job in targets.items():
        if job in by_job:
            yield {"targets": by_job[job], "labels": {"service": service}}


def _scaled_file(document: dict[str, Any], scale: float) -> dict[str, Any]:
    for group in document["groups"]:
        for rule in group["rules"]:
            rule["expr"] = scaled(rule["expr"], scale)
            for key in ("for", "keep_firing_for"):
                if key in rule:
                    rule[key] = written(seconds(rule[key]) * scale)
    return document
