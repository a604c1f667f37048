""".env.example is complete, and true."""

import re
import shlex

import pytest

from app.settings import ProbeProcess, Settings, load, load_probe
from dev.delivery.variables import all_variables, variables
from dev.environment import ROOT

LINES = (ROOT / ".env.example").read_text().splitlines()
VARIABLE = re.compile(r"(?:# )?([A-Z][A-Z0-9_]*)=(.*)")
COMPOSE = (ROOT / "compose.yaml").read_text()
VALUES = {found[1]: found[2] for line in LINES if (found := VARIABLE.fullmatch(line))}
FOR_COMPOSE = set(re.findall(r"\$\{(\w+):", COMPOSE))


def test_every_required_setting_is_there() -> None:
    """Whoever copies the file has set all that a start needs, of the service and of its probe."""
    required = {
        name for model in (Settings, ProbeProcess) for name, variable in variables(model).items() if variable.required
    }

    assert len(required) >= 11
    assert required - VALUES.keys() == set()


def test_every_variable_is_read_by_somebody() -> None:
    """Each one is a setting of the service, or used in compose.yaml."""
    known = {name for model in (Settings, ProbeProcess) for name in variables(model)}

    assert VALUES.keys() - known - FOR_COMPOSE == set()
    assert {"POSTGRES_PASSWORD", "POSTGRES_PORT", "NATS_PORT"} == FOR_COMPOSE


def test_containers_and_processes_listen_where_the_file_says() -> None:
    """The ports of compose.yaml are those of the addresses; those of processes are the defaults of their settings."""
    published = dict(re.findall(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}", COMPOSE))
    ports = {name: value for name, value in VALUES.items() if re.fullmatch(r"APP_\w+__PORT", name)}

    assert {name: VALUES[name] for name in published} == published
    assert f"127.0.0.1:{published['POSTGRES_PORT']}/" in VALUES["APP_DATABASE__URL"]
    assert VALUES["APP_BROKER__URL"] == f"nats://127.0.0.1:{published['NATS_PORT']}"
    assert ports == {name: str(all_variables()[name].default) for name in ports} != {}


def test_every_variable_has_a_sentence() -> None:
    """The line above each variable says what it is."""
    above = {found[1]: LINES[at - 1] for at, line in enumerate(LINES) if (found := VARIABLE.fullmatch(line))}

    assert [name for name, line in above.items() if not re.match(r"# \w.+", line) or VARIABLE.fullmatch(line)] == []


def test_the_values_are_good_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process starts with the file as it is, read as a shell does."""
    for name, value in VALUES.items():
        # Inside the template the name is an unanswered question.
        words = shlex.split(value) if "{{" not in value else ["service"]
        assert len(words) == 1
        monkeypatch.setenv(name, words[0])

    settings, probe = load(), load_probe().probe

    assert settings.http.port == int(VALUES["APP_HTTP__PORT"])
    assert settings.payments.url == VALUES["APP_PAYMENTS__URL"]
    assert probe.base_url == f"http://127.0.0.1:{settings.http.port}"
    assert probe.token_parameters == {"tenant": "probe", "scope": "orders:read orders:write"}
