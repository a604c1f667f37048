"""Every file that follows from the policy, and what has to be in it."""

import json
from pathlib import Path
from typing import get_args

from app.telemetry_policy import Environment, Policy, load
from dev.environment import ROOT
from dev.telemetry_policy.marks import with_blocks, with_values
from dev.telemetry_policy.readers import cloud_values, data_sources
from dev.telemetry_policy.tables import blocks

POLICY = ROOT / "ops" / "telemetry-policy.yaml"
SCHEMA = POLICY.with_suffix(".schema.json")
PAGE = ROOT / "docs" / "telemetry-policy.md"
MARKED = [
    *sorted((ROOT / "ops" / "collector").glob("*.yaml")),
    *sorted((ROOT / "ops" / "storage").glob("*.yaml")),
    ROOT / "deploy" / "k8s" / "base" / "monitoring.yaml",
]
# Where the service was made for a cloud, this folder is there; where it was not, neither are its values.
CLOUD_VALUES = [module.parents[1] / "telemetry.json" for module in ROOT.glob("deploy/*/modules/log_streams")]


def read() -> Policy:
    """Return the policy.

    Raises:
        BadPolicy: it has a mistake.
    """
    return load(POLICY)


def outputs(policy: Policy) -> dict[Path, str]:
    """Return what has to be in each file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()}
    grafana = {
        ROOT / "ops" / "grafana" / f"datasources.{environment}.yaml": data_sources(policy, environment)
        for environment in get_args(Environment)
    }
    return {
        SCHEMA: json.dumps(schema, indent=2) + "\n",
        **{path: with_values(path.read_text(), policy) for path in MARKED},
        **grafana,
        **dict.fromkeys(CLOUD_VALUES, cloud_values(policy)),
        PAGE: with_blocks(PAGE.read_text(), blocks(policy)),
    }
