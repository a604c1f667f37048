"""settings.py: all mistakes at once, and no secret in the message."""

import pytest
from pydantic import BaseModel

from app.settings import BadSettings, ProbeProcess, Settings, load, load_probe

GOOD = {
    "OTEL_SERVICE_NAME": "orders",
    "APP_DATABASE__URL": "postgresql+asyncpg://u:hunter2@db/orders",
    "APP_BROKER__URL": "nats://broker:4222",
    "APP_PAYMENTS__URL": "https://payments.example.com",
    "APP_AUTHENTICATION__ISSUER": "https://login.example.com",
    "APP_AUTHENTICATION__AUDIENCE": "orders",
    "APP_AUTHENTICATION__JWKS_URL": "https://login.example.com/keys",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return an environment with good settings and nothing else of the service."""
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_good_settings_are_read_from_the_environment() -> None:
    """The few variables without a default are enough."""
    settings = load()

    assert settings.service == "orders"
    assert settings.http.port == 8000
    assert settings.consumer.url == settings.broker.url


def test_every_bad_value_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
    """One run shows the whole list; nobody fixes them one start at a time."""
    environment.delenv("APP_DATABASE__URL")
    environment.delenv("OTEL_SERVICE_NAME")
    environment.setenv("APP_HTTP__PORT", "99999")
    environment.setenv("APP_TRACING__RATIO", "2")
    environment.setenv("APP_ENV", "prod")

    with pytest.raises(BadSettings) as caught:
        load()

    named = {line.strip().split(":")[0] for line in str(caught.value).splitlines()}
    assert named == {"OTEL_SERVICE_NAME", "APP_ENV", "APP_DATABASE__URL", "APP_HTTP__PORT", "APP_TRACING__RATIO"}


def test_one_setting_of_a_socket_leaves_its_others_as_they_are(environment: pytest.MonkeyPatch) -> None:
    """A longer drain needs no word about the port, whose default is one of the process and not of every socket."""
    environment.setenv("APP_HTTP__DRAIN_SECONDS", "10")
    environment.setenv("APP_WORKER__SHUTDOWN_SECONDS", "5")

    settings = load()

    assert (settings.http.port, settings.http.drain_seconds) == (8000, 10)
    assert (settings.worker.port, settings.worker.shutdown_seconds) == (8001, 5)


def test_a_misspelt_variable_is_named(environment: pytest.MonkeyPatch) -> None:
    """A setting that nobody reads would otherwise look as if it worked."""
    environment.setenv("APP_HTTP__PROT", "9000")

    with pytest.raises(BadSettings, match="APP_HTTP__PROT: Extra inputs are not permitted"):
        load()


def test_ratios_of_endpoints_are_read_as_json(environment: pytest.MonkeyPatch) -> None:
    """A setting with many values is one variable."""
    environment.setenv("APP_LOGGING__REQUEST_RATIOS", '{"GET /v1/orders/{order_id}": 0.1}')

    assert load().logging.request_ratios == {"GET /v1/orders/{order_id}": 0.1}


def test_what_should_be_json_and_is_none_is_refused(environment: pytest.MonkeyPatch) -> None:
    """A slip in a variable with many values ends like any other bad setting, and is not repeated either."""
    environment.setenv("APP_LOGGING__REQUEST_RATIOS", "hunter2")

    with pytest.raises(BadSettings, match='field "logging"') as caught:
        load()

    assert "hunter2" not in str(caught.value)


def test_a_bad_value_is_not_repeated(environment: pytest.MonkeyPatch) -> None:
    """What somebody pasted into the wrong variable may be a password."""
    environment.setenv("APP_HTTP__PORT", "hunter2")

    with pytest.raises(BadSettings) as caught:
        load()

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["kafka://hunter2@broker:9092", "broker:4222", "http://broker"])
def test_a_broker_of_an_unknown_kind_is_refused(environment: pytest.MonkeyPatch, url: str) -> None:
    """The message says what a URL may begin with, and does not repeat this one."""
    environment.setenv("APP_BROKER__URL", url)

    with pytest.raises(BadSettings, match=r"APP_BROKER__URL: .* begins with nats:// or tls://") as caught:
        load()

    assert "hunter2" not in str(caught.value)


def test_the_inbox_remembers_for_longer_than_the_broker_keeps(environment: pytest.MonkeyPatch) -> None:
    """Otherwise an event that the broker delivers again could take effect again."""
    environment.setenv("APP_INBOX__KEPT_DAYS", "6")

    with pytest.raises(BadSettings, match=r"APP_INBOX: .*KEPT_DAYS must exceed APP_BROKER__MAX_AGE_DAYS"):
        load()


@pytest.mark.usefixtures("environment")
def test_secrets_do_not_show_when_settings_are_printed() -> None:
    """A debugging print of the settings is harmless."""
    assert "hunter2" not in repr(load())


@pytest.mark.parametrize("env", ["staging", "production"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_AUTHENTICATION__ISSUER", "urn:dev:token-issuer"),
        ("APP_AUTHENTICATION__JWKS_URL", "http://127.0.0.1:8003/.well-known/jwks.json"),
        ("APP_AUTHENTICATION__JWKS_URL", "http://localhost/keys"),
    ],
)
def test_the_development_issuer_is_refused_outside_development(
    environment: pytest.MonkeyPatch, env: str, name: str, value: str
) -> None:
    """It signs whatever one asks for."""
    environment.setenv("APP_ENV", env)
    environment.setenv(name, value)

    with pytest.raises(BadSettings, match="development token issuer"):
        load()


def test_what_the_probe_lacks_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the service's own settings is among it, and nothing of the probe's is needed by the service."""
    monkeypatch.setenv("APP_PROBE__INTERVAL_SECONDS", "0")

    with pytest.raises(BadSettings) as caught:
        load_probe()

    named = {line.strip().split(":")[0].removeprefix("APP_PROBE__") for line in str(caught.value).splitlines()}
    needed = {"BASE_URL", "TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET_FILE"}
    assert named == {"OTEL_SERVICE_NAME", "INTERVAL_SECONDS", *needed}


@pytest.mark.parametrize("process", [Settings, ProbeProcess])
def test_every_setting_has_a_sentence(process: type[BaseModel]) -> None:
    """What a setting does is said where it is declared."""

    def without_sentence(model: type[BaseModel], path: str) -> list[str]:
        missing = []
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                missing += without_sentence(field.annotation, f"{path}{name}.")
            elif not field.description:
                missing.append(path + name)
        return missing

    assert without_sentence(process, "") == []
