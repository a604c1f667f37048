"""What `make up` runs: who needs whom, what each part is told, and what happens when one of them changes or ends."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from watchfiles import PythonFilter, watch

from dev.console import Console
from dev.environment import APP, PROBE, ROOT, Addresses, probe_variables, service_name, variables
from dev.nats import Nats
from dev.postgres import PostgreSQL
from dev.process import Process, StartFailed
from dev.supervisor import Supervisor
from dev.token_issuer import SigningKey, TokenIssuer

_MIGRATION_TIMEOUT_SECONDS = 900.0
_SCOPES = (
    "orders:read orders:write",  # domain: orders
)
_PROBE_INTERVAL_SECONDS = 15.0  # often enough to be seen, and quiet enough to work beside
_BANNER = """
{service} is up; changes in src/ restart it, Ctrl-C stops everything.

  API          {http}/docs
  metrics      {http}/metrics   worker: {worker}/metrics{probe}
  PostgreSQL   psql "{psql}"
  NATS         {nats}
  payments     {payments}/authorisations   faults: PUT {payments}/faults
  tokens       POST {issuer}/token

Place an order:

  export TOKEN={token}
  curl -s -X POST {http}/v1/orders -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d '{{"currency": "EUR", "items": [{{"sku": "tea", "quantity": 2, "unit_price_minor": 450}}]}}'
"""


class Stack:
    """One run of the whole system: servers, helpers, and the service itself."""

    def __init__(
        self, data: Path, ports: dict[str, int], console: Console, *, settings: Mapping[str, str] | None = None
    ) -> None:
        """Nothing starts here. `settings` are variables of the service that win over the environment's.

        Without a port for it, there is no probe: its orders would be among those that somebody looks at.
        """
        self._data = data
        self._ports = ports
        self._console = console
        self._supervisor = Supervisor(console)
        self._postgres = PostgreSQL(data / "postgres", on_line=console.listener("postgres", hide=(" LOG: ",)))
        self._nats = Nats(data / "nats", port=ports["nats"], on_line=console.listener("nats", hide=("[INF]",)))
        self._database = service_name().replace("-", "_")
        self._env = {**self._variables(), **(settings or {})}
        self._secret = data / "probe_secret"
        self._service = {"http": self._app("serve", self._env), "worker": self._app("worker", self._env)}
        if "probe" in ports:
            self._service["probe"] = self._app("probe", {**self._env, **self._probe_variables()})

    def start(self) -> None:
        """Start everything in order.

        Raises:
            StartFailed: one part did not start, or a migration failed.
        """
        self._say("starting PostgreSQL, NATS, token issuer, payment simulator")
        self._supervisor.start_server(self._postgres)
        if self._database not in self._postgres.databases():
            self._postgres.create_database(self._database)
        self._supervisor.start_server(self._nats)
        key = ("--key", str(self._data / "token_issuer.pem"), "--audience", service_name())
        self._make_secret()
        self._start_helper("issuer", "dev.token_issuer", *key, "--client", PROBE, str(self._secret))
        self._start_helper("payments", "dev.payment_simulator")
        self._say("migrating the database")
        self._migrate()
        self._say("starting the service")
        self._start_service()

    def watch(self) -> None:
        """Restart the service when its source changes, until interrupted.

        Raises:
            StartFailed: a server that everything else needs has ended.
        """
        known_dead: set[str] = set()
        # An empty set comes every second, as an occasion to look after the children.
        for changes in watch(
            ROOT / "src", watch_filter=PythonFilter(), debounce=300, rust_timeout=1000, yield_on_timeout=True
        ):
            if changes:
                changed = sorted({Path(path).relative_to(ROOT).as_posix() for _, path in changes})
                self._say(f"{', '.join(changed)} changed: restarting")
                self._stop_service()
                self._start_service(wait=False)
                known_dead.clear()
            for process in self._supervisor.ended():
                if process not in self._service.values():
                    raise StartFailed(f"{process.name} has ended with {process.returncode}; its last lines are above.")
                if process.name not in known_dead:
                    known_dead.add(process.name)
                    self._say(f"{process.name} has ended with {process.returncode}; a change in src/ starts it again")

    def stop(self) -> None:
        """Stop everything in reverse order."""
        self._say("stopping")
        self._supervisor.stop_all()

    @property
    def broker_url(self) -> str:
        """Where NATS listens."""
        return self._nats.url()

    def token(self) -> str:
        """Return a token that may do everything a customer does."""
        key = SigningKey.load_or_create(self._data / "token_issuer.pem")
        return TokenIssuer(key, audience=service_name()).mint(scope=" ".join(_SCOPES))

    def banner(self) -> str:
        """Return where everything is, with commands to copy."""
        psql = self._postgres.url(self._database).replace("+asyncpg", "")
        urls = {name: self.url(name) for name in ("http", "worker", "payments", "issuer")}
        probe = f"   probe: {self.url('probe')}/metrics" if "probe" in self._ports else ""
        return _BANNER.format(
            service=service_name(), psql=psql, nats=self._nats.url(), token=self.token(), probe=probe, **urls
        )

    def url(self, name: str) -> str:
        """Return where one part listens: `http`, `worker`, `probe`, `payments`, `issuer`."""
        return f"http://127.0.0.1:{self._ports[name]}"

    def _start_helper(self, name: str, module: str, *options: str) -> None:
        argv = [sys.executable, "-m", module, "--port", str(self._ports[name]), *options]
        process = Process(name, argv, cwd=ROOT, on_line=self._console.listener(name, hide=("INFO: ",)))
        self._supervisor.start(process, ready_line="Uvicorn running on")

    def _migrate(self) -> None:
        process = self._app("migrate", self._env)
        self._supervisor.start(process)
        if process.wait(timeout_seconds=_MIGRATION_TIMEOUT_SECONDS):
            last = next((line for line in reversed(process.last_lines) if line.strip()), "it said nothing")
            raise StartFailed(f"the migration failed: {last} Correct it and run again.")
        self._supervisor.stop(process)

    def _start_service(self, *, wait: bool = True) -> None:
        for port, process in self._service.items():
            self._supervisor.start(process, ready_url=f"{self.url(port)}/livez" if wait else None)

    def _stop_service(self) -> None:
        for process in reversed(self._service.values()):
            self._supervisor.stop(process)

    def _app(self, command: str, env: Mapping[str, str]) -> Process:
        return Process(command, [*APP, command], env=env, cwd=ROOT, on_line=self._console.listener(command))

    def _variables(self) -> dict[str, str]:
        addresses = Addresses(
            database_url=self._postgres.url(self._database),
            broker_url=self._nats.url(),
            payments_url=self.url("payments"),
            jwks_url=f"{self.url('issuer')}/.well-known/jwks.json",
            http_port=self._ports["http"],
            worker_port=self._ports["worker"],
        )
        readable = {"APP_LOGGING__FORMAT": "console"} if self._console.coloured else {}
        return {**readable, **os.environ, **variables(addresses), "PYTHONUNBUFFERED": "1"}

    def _probe_variables(self) -> dict[str, str]:
        own = probe_variables(
            base_url=self.url("http"),
            token_url=f"{self.url('issuer')}/token",
            secret_file=self._secret,
            port=self._ports["probe"],
            scope=" ".join(_SCOPES),
        )
        return {**own, "APP_PROBE__INTERVAL_SECONDS": str(_PROBE_INTERVAL_SECONDS)}

    def _make_secret(self) -> None:
        self._secret.touch(mode=0o600)
        self._secret.write_text(secrets.token_urlsafe())

    def _say(self, text: str) -> None:
        self._console.say(text)
