"""The only reader of the environment. Each pattern declares its own settings; here they become one tree.

`APP_DATABASE__URL` is `settings.database.url`. `.env.example` holds the ones to begin with.
"""

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from app.kit.db import DatabaseSettings
from app.orders.payments import PaymentSettings  # domain: orders
from app.orders.service import OrderSettings  # domain: orders
from app.patterns.audit_log import AuditLogSettings
from app.patterns.authentication import AuthenticationSettings
from app.patterns.feature_flags import FeatureFlagSettings
from app.patterns.idempotency import IdempotencySettings
from app.patterns.inbox import ConsumerSettings, InboxSettings
from app.patterns.migrations import MigrationSettings
from app.patterns.outbox import BrokerSettings, RelaySettings
from app.patterns.partitions import PartitionSettings
from app.patterns.read_replicas import ReplicaSettings
from app.patterns.retention import RetentionSettings
from app.patterns.structured_logging import LoggingSettings
from app.patterns.tracing import TracingSettings

_Model = TypeVar("_Model", bound=BaseSettings)
_DEVELOPMENT_MARKS = ("urn:dev:", "localhost", "127.0.0.1", "[::1]")


class ServerSettings(BaseModel):
    """One listening socket."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 inside a container.")
    port: int = Field(ge=0, le=65535, description="Port to listen on.")
    drain_seconds: float = Field(
        0.0, ge=0, description="Pause between `not ready` and the end of accepting, for load balancers to notice."
    )
    shutdown_seconds: int = Field(20, ge=1, description="Longest wait for requests in flight when stopping.")
    max_body_bytes: int = Field(1_048_576, ge=1, description="Largest request body; more is answered with 413.")


class ProbeSettings(ServerSettings):
    """Whom `app probe` asks, as whom, and how often; and where it listens itself.

    Here, and not with its pattern: who imports that, has its metrics.
    """

    port: int = Field(8004, ge=0, le=65535, description="Port of its probes and metrics.")
    base_url: str = Field(pattern=r"^https?://", description="The service's address, as its users know it.")
    token_url: str = Field(pattern=r"^https?://", description="Where the issuer gives tokens to programs.")
    client_id: str = Field(min_length=1, description="Who logs in: a client with a tenant of its own.")
    client_secret_file: Path = Field(description="File with its secret, read at each login.")
    token_parameters: dict[str, str] = Field(
        {}, description='What else the issuer wants to be told, such as {"scope": "...", "audience": "..."}.'
    )
    interval_seconds: float = Field(60.0, gt=0, description="From one run to the next.")
    step_timeout_seconds: float = Field(5.0, gt=0, description="The longest that a step may take.")


class ProcessSettings(BaseSettings):
    """What every process has."""

    model_config = SettingsConfigDict(
        env_prefix="APP_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        nested_model_default_partial_update=True,  # APP_HTTP__DRAIN_SECONDS alone keeps the port
    )

    service: str = Field(
        validation_alias="OTEL_SERVICE_NAME",
        pattern=r"^[a-z][a-z0-9-]{0,62}$",
        description="The service's name in logs, traces, metrics and events.",
    )
    env: Literal["development", "test", "staging", "production"] = Field("development", description="Where this runs.")
    version: str = Field("dev", description="Release, such as a commit id.")
    logging: LoggingSettings = LoggingSettings()


class ProbeProcess(ProcessSettings):
    """All that `app probe` needs: neither a database nor anything else of the service's."""

    probe: ProbeSettings


class Settings(ProcessSettings):
    """All that the service's own processes need."""

    database: DatabaseSettings
    replicas: ReplicaSettings = ReplicaSettings()
    broker: BrokerSettings
    payments: PaymentSettings  # domain: orders
    authentication: AuthenticationSettings
    http: ServerSettings = ServerSettings(port=8000)
    worker: ServerSettings = ServerSettings(port=8001)
    relay: RelaySettings = RelaySettings()
    inbox: InboxSettings = Field(InboxSettings(), validate_default=True)
    orders: OrderSettings = OrderSettings()  # domain: orders
    audit_log: AuditLogSettings = AuditLogSettings()
    feature_flags: FeatureFlagSettings = FeatureFlagSettings()
    idempotency: IdempotencySettings = IdempotencySettings()
    migrations: MigrationSettings = MigrationSettings()
    partitions: PartitionSettings = PartitionSettings()
    retention: RetentionSettings = RetentionSettings()
    tracing: TracingSettings = TracingSettings()
    consumer_ack_wait_seconds: float = Field(10.0, gt=0, description="See ConsumerSettings.ack_wait_seconds.")

    @property
    def consumer(self) -> ConsumerSettings:
        """Return the settings of consumers: they read where the relay writes."""
        return ConsumerSettings(
            url=self.broker.url, stream=self.broker.stream, ack_wait_seconds=self.consumer_ack_wait_seconds
        )

    @field_validator("inbox")
    @classmethod
    def _remember_longer_than_the_broker(cls, inbox: InboxSettings, info: ValidationInfo) -> InboxSettings:
        broker: BrokerSettings | None = info.data.get("broker")
        if broker and inbox.kept_days <= broker.max_age_days:
            raise ValueError("KEPT_DAYS must exceed APP_BROKER__MAX_AGE_DAYS, or an event could take effect twice")
        return inbox

    @field_validator("authentication")
    @classmethod
    def _refuse_development_issuer(
        cls, authentication: AuthenticationSettings, info: ValidationInfo
    ) -> AuthenticationSettings:
        if info.data.get("env") in ("staging", "production"):
            told = f"{authentication.issuer} {authentication.jwks_url}"
            if any(mark in told for mark in _DEVELOPMENT_MARKS):
                raise ValueError("the development token issuer is refused outside development")
        return authentication


class BadSettings(Exception):
    """Some settings are missing or wrong; the message lists every one of them, and no value."""


def load(**overrides: Any) -> Settings:  # noqa: ANN401 - any field of Settings
    """Read the settings of the service's own processes from the environment.

    Raises:
        BadSettings: with one line per bad value.
    """
    return _load(Settings, **overrides)


def load_probe() -> ProbeProcess:
    """Read the settings of `app probe` from the environment.

    Raises:
        BadSettings: with one line per bad value.
    """
    return _load(ProbeProcess)


def _load(model: type[_Model], **overrides: Any) -> _Model:  # noqa: ANN401 - as above
    try:
        return model(**overrides)
    except ValidationError as exc:
        lines = [
            f"  {_variable(location)}: {error['msg']}"
            for error in exc.errors(include_input=False)
            for location in (_required_inside(model, error["loc"]) if error["type"] == "missing" else [error["loc"]])
        ]
        raise BadSettings("\n".join(lines)) from None
    except SettingsError as exc:  # what should be JSON is none; the message names the group, not the text
        raise BadSettings(f"  {exc}") from None


def _required_inside(model: type[BaseModel], location: tuple[int | str, ...]) -> list[tuple[int | str, ...]]:
    """Return what to set: for a group that is missing as a whole, the fields in it that have no default."""
    field = model.model_fields.get(str(location[0])) if len(location) == 1 else None
    group = field.annotation if field else None
    if not (isinstance(group, type) and issubclass(group, BaseModel)):
        return [location]
    return [(*location, name) for name, inner in group.model_fields.items() if inner.is_required()]


def _variable(location: tuple[int | str, ...]) -> str:
    """Return the environment variable behind a field, such as `APP_DATABASE__URL`."""
    name = "__".join(str(part) for part in location).upper()
    if not name:
        return "settings"
    return name if name == "OTEL_SERVICE_NAME" else f"APP_{name}"
