"""The telemetry policy: ops/telemetry-policy.yaml, read and checked; a mistake is refused, by the name of its key."""

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Stream = Literal["app", "security", "audit"]
Environment = Literal["staging", "production"]
Role = Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,19}$")]
Days = Annotated[int, Field(ge=1, le=3653)]
Ratio = Annotated[float, Field(gt=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class BadPolicy(Exception):
    """The file cannot be used; the message names each key that is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LogRetention(_Part):
    """Days that log lines are kept."""

    app_info: Days = Field(description="Of the application, up to the level info.")
    app_warning: Days = Field(description="Of the application, from warning on.")
    security: Days = Field(description="Events named `security.*`.")
    audit: Days = Field(description="Events named `audit.*`.")

    @model_validator(mode="after")
    def _warnings_outlive_what_led_to_them(self) -> Self:
        if self.app_warning < self.app_info:
            raise ValueError("app_warning must not be shorter than app_info")
        return self


class Retention(_Part):
    """Days that telemetry is kept."""

    metrics: Days = Field(description="Raw samples.")
    slo_series: Days = Field(description="Recorded series of the service levels.")
    traces: Days
    logs: LogRetention

    @model_validator(mode="after")
    def _recorded_series_outlive_their_samples(self) -> Self:
        if self.slo_series < self.metrics:
            raise ValueError("slo_series must not be shorter than metrics")
        return self


class HeadRatio(_Part):
    """Share of new traces that a process records."""

    development: Ratio
    production: Ratio = Field(description="Also in staging; the default of the code.")


class TraceSampling(_Part):
    """Which traces are kept: decided by the process first, by the collector on what is left."""

    head_ratio: HeadRatio
    rest_ratio: Ratio = Field(description="Share that the collector keeps of traces neither slow nor failed.")


class LogSampling(_Part):
    """Which lines are written; errors and slow requests always are."""

    request_ratio: Ratio = Field(description="Share of the lines of requests.")
    hot_requests: dict[str, Ratio] = Field(description="Share of those to one endpoint: its method and route.")
    lines_per_second: float = Field(gt=0, description="Of each other event, in the long run.")
    burst: int = Field(ge=1, description="Of each other event, at once.")


class Sampling(_Part):
    """How much telemetry is made."""

    slow_seconds: float = Field(gt=0, description="A request that takes longer keeps its line and its trace.")
    traces: TraceSampling
    logs: LogSampling


class Cardinality(_Part):
    """Hard limits of the number of series."""

    series_per_process: int = Field(ge=1, description="A scrape that holds more is refused as a whole.")
    label_sets_per_metric: int = Field(ge=1, description="Further combinations of label values are counted together.")


class Budget(_Part):
    """What telemetry may amount to."""

    log_bytes_per_1000_requests: Amount
    log_lines_per_1000_requests: Amount
    span_bytes_per_1000_requests: Amount = Field(description="With production's head ratio.")
    spans_per_1000_requests: Amount = Field(description="With production's head ratio.")
    series_per_process: int = Field(ge=1)
    new_series_per_1000_requests: Amount


class Assumed(_Part):
    """What a monthly figure is computed for."""

    requests_per_second: float = Field(gt=0)
    replicas: int = Field(ge=1, description="Of each process.")


class Prices(_Part):
    """What telemetry costs."""

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    logs_per_gb: Amount = Field(description="Per 1 000 000 000 bytes taken in.")
    traces_per_gb: Amount = Field(description="Per 1 000 000 000 bytes taken in.")
    per_1000_series: Amount = Field(description="Per 1 000 active series and month.")


class Access(_Part):
    """What one role may read."""

    environments: list[Environment] = Field(min_length=1)
    streams: list[Stream] = Field(min_length=1)


class Policy(_Part):
    """How long telemetry is kept, how much of it is made, who reads it, and what it may cost."""

    retention_days: Retention
    sampling: Sampling
    cardinality: Cardinality
    budget: Budget
    assumed: Assumed
    prices: Prices
    access: dict[Role, Access]

    @model_validator(mode="after")
    def _a_budget_warns_before_the_limit_cuts(self) -> Self:
        if self.budget.series_per_process > self.cardinality.series_per_process:
            raise ValueError("budget.series_per_process must not be above cardinality.series_per_process")
        return self


def load(path: Path) -> Policy:
    """Read the policy.

    Raises:
        BadPolicy: with one line per mistake.
    """
    try:
        return Policy.model_validate(yaml.load(path.read_text(), _UniqueKeys))  # noqa: S506 - a SafeLoader
    except OSError as exc:
        raise BadPolicy(f"{path} cannot be read: {exc.strerror}") from exc
    except yaml.YAMLError as exc:
        raise BadPolicy(f"{path} is not YAML: {' '.join(str(exc).split())}") from exc
    except ValidationError as exc:
        lines = [f"  {'.'.join(map(str, error['loc'])) or 'policy'}: {error['msg']}" for error in exc.errors()]
        raise BadPolicy("\n".join([f"{path} is refused:", *lines])) from exc


class _UniqueKeys(yaml.SafeLoader):
    """YAML where a key that is there twice is a mistake: the second would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - as inherited
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)
