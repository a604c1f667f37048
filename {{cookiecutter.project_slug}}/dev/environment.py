"""The environment variables that the service's processes need, computed in one place for `make up` and for tests."""

import json
import os
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from dev.postgres import JOBS_LOGIN, SERVICE_LOGIN
from dev.token_issuer import ISSUER

ROOT = Path(__file__).resolve().parents[1]
PROBE = "probe"
"""The tenant of the process that tries a customer's steps, and the client that it logs in as."""
APP = (sys.executable, "-c", "from app.cli import main; main()")
"""The `app` command, also where the service itself is not installed."""
UNANSWERED_NAME = "unanswered-name"
UNANSWERED_REPOSITORY = "https://git.example.com/repository"
"""Both inside the template: whoever generates a service has its own put in their place, where they were written."""


def service_name() -> str:
    """Return the service's name: OTEL_SERVICE_NAME, or the project's name."""
    project = project_name()
    return os.environ.get("OTEL_SERVICE_NAME") or ("service" if project == UNANSWERED_NAME else project)


def project_name() -> str:
    """Return the project's name, which inside the template is an unanswered question; the code runs there too."""
    project = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"])
    return UNANSWERED_NAME if "{" in project else project


def repository_url() -> str:
    """Return the address of the project's repository, where its runbooks can be read."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    return UNANSWERED_REPOSITORY if "{" in urls["Repository"] else str(urls["Repository"])


def named(service: str) -> str:
    """Return the name of a service, which may stand in a question to the monitoring.

    Raises:
        ValueError: it could mean more than one, or, being empty, everything that has no name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", service, re.ASCII):
        raise ValueError(f"{service!r} is no name of a service")
    return service


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens."""

    database_url: str
    """As the owner of the tables."""
    broker_url: str
    payments_url: str
    jwks_url: str
    http_port: int
    worker_port: int


def variables(addresses: Addresses, *, env: str = "development") -> dict[str, str]:
    """Return the variables of the service's processes, without those of the machine."""
    name = service_name()
    return {
        "OTEL_SERVICE_NAME": name,
        "APP_ENV": env,
        **database_variables(addresses.database_url),
        "APP_BROKER__URL": addresses.broker_url,
        "APP_PAYMENTS__URL": addresses.payments_url,
        "APP_AUTHENTICATION__ISSUER": ISSUER,
        "APP_AUTHENTICATION__AUDIENCE": name,
        "APP_AUTHENTICATION__JWKS_URL": addresses.jwks_url,
        "APP_HTTP__PORT": str(addresses.http_port),
        "APP_WORKER__PORT": str(addresses.worker_port),
    }


def probe_variables(*, base_url: str, token_url: str, secret_file: Path, port: int, scope: str) -> dict[str, str]:
    """Return the variables of the process that tries a customer's steps, without those of the machine."""
    return {
        "OTEL_SERVICE_NAME": service_name(),
        "APP_PROBE__BASE_URL": base_url,
        "APP_PROBE__TOKEN_URL": token_url,
        "APP_PROBE__CLIENT_ID": PROBE,
        "APP_PROBE__CLIENT_SECRET_FILE": str(secret_file),
        "APP_PROBE__TOKEN_PARAMETERS": json.dumps({"tenant": PROBE, "scope": scope}),
        "APP_PROBE__PORT": str(port),
    }


def database_variables(url: str) -> dict[str, str]:
    """Return the variables that say where the database is, given its address as the owner of the tables."""
    return {
        "APP_DATABASE__URL": _as_login(url, SERVICE_LOGIN),
        "APP_DATABASE__JOBS_URL": _as_login(url, JOBS_LOGIN),
        "APP_MIGRATIONS__DATABASE_URL": url,
    }


def _as_login(url: str, login: str) -> str:
    return make_url(url).set(username=login).render_as_string(hide_password=False)


def machine_variables() -> dict[str, str]:
    """Return this process's environment without settings of the service, so that none of them leaks into a test."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("APP_", "OTEL_"))}
