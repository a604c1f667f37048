"""What the service needs around it, as real processes in one folder: PostgreSQL, NATS, token issuer, payment provider.

Whoever uses it starts processes of the service beside them. Each process has a log file; all end with the owner.
"""

import asyncio
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from dev.environment import APP, PROBE, ROOT, Addresses, machine_variables, service_name, variables
from dev.guardian import Guardian
from dev.nats import Nats
from dev.ports import free_port
from dev.postgres import PostgreSQL
from dev.process import Process, StartFailed

_LOOK_SECONDS = 0.05
_START_SECONDS = 60.0
SCOPES = "orders:read orders:write"


class Installation:
    """One of them."""

    def __init__(
        self,
        folder: Path,
        *,
        database: str,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        app: Sequence[str] = APP,
    ) -> None:
        """Nothing starts here.

        `settings` are variables of the service's processes that win over the usual ones; `app` is the command.
        """
        self._app = app
        self._folder = folder
        self._database = database
        self._settings = dict(settings or {})
        self.postgres = PostgreSQL(folder / "postgres", durable=durable, on_line=self._log("postgres"))
        self.nats = Nats(folder / "nats", on_line=self._log("nats"))
        self.payments_port, self.issuer_port, self.http_port = free_port(), free_port(), free_port()
        self.secret = folder / "probe_secret"
        """Of the client that tries the service from outside."""
        self.issuer: Process | None = None
        self._started: list[Process] = []
        self._guardian = Guardian()  # an owner that is killed itself leaves nothing running
        self._environment: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Base URL of the service."""
        return f"http://127.0.0.1:{self.http_port}"

    async def start(self) -> None:
        """Start everything that the service needs, with the schema it was written for.

        Raises:
            StartFailed: with the reason.
        """
        await self._up(self.postgres)
        await self._up(self.nats)
        self.postgres.create_database(self._database)
        self.secret.write_text(secrets.token_urlsafe())
        self._environment = {**variables(self._addresses()), **self._settings}
        if await self.run("migrate", "migrate"):
            raise StartFailed(f"The migration failed: {' '.join(self.said('migrate')[-1:])}")
        self.start_payments()
        self.issuer = self.start_issuer()
        await until_answered(f"http://127.0.0.1:{self.payments_port}/authorisations")
        await until_answered(f"http://127.0.0.1:{self.issuer_port}/.well-known/jwks.json")

    def start_payments(self) -> Process:
        """Start the payment provider."""
        simulator = (sys.executable, "-m", "dev.payment_simulator", "--port", str(self.payments_port))
        return self._start("payments", simulator)

    def start_issuer(self) -> Process:
        """Start the token issuer, with the key that it had."""
        key = ("--audience", service_name(), "--key", str(self._folder / "issuer.pem"))
        client = ("--client", PROBE, str(self.secret))
        argv = (sys.executable, "-m", "dev.token_issuer", "--port", str(self.issuer_port), *key, *client)
        return self._start("issuer", argv)

    async def ready(self) -> None:
        """Return when the service answers."""
        await until_answered(f"{self.url}/readyz")

    async def token(self, *, tenant: str = "acme", scope: str = SCOPES) -> str:
        """Return a token, by default one that may do everything a customer does."""
        async with httpx.AsyncClient() as client:
            asked = {"tenant": tenant, "scope": scope}
            answer = await client.post(f"http://127.0.0.1:{self.issuer_port}/token", json=asked)
        return str(answer.raise_for_status().json()["access_token"])

    async def disturb_payments(self, **faults: float) -> None:
        """Set the faults of the payment provider."""
        async with httpx.AsyncClient() as client:
            answer = await client.put(f"http://127.0.0.1:{self.payments_port}/faults", json=faults)
        answer.raise_for_status()

    async def run(self, name: str, *command: str, within_seconds: float = _START_SECONDS, **env: str) -> int:
        """Run `app COMMAND` to its end, and return its exit status."""
        process = self._start(name, (*self._app, *command), env)
        return await asyncio.to_thread(lambda: process.wait(timeout_seconds=within_seconds))

    def said(self, name: str) -> list[str]:
        """Return the lines that processes of that name have written."""
        log = self._folder / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []

    def query(self, sql: str) -> str:
        """Return the bare output of one statement."""
        return self.postgres.execute(sql, database=self._database)

    def stop(self) -> None:
        """Stop what was started, the last first."""
        for process in reversed(self._started):
            process.stop()
        self.nats.stop()
        self.postgres.stop()
        self._guardian.dismiss()

    def environment(self) -> dict[str, str]:
        """Return the variables of a process that knows this service, with `app` among the programs it finds."""
        programs = self._folder / "programs"
        programs.mkdir(exist_ok=True)
        app = programs / "app"
        if not app.exists():
            app.write_text(f'#!/bin/sh\nexec {shlex.join(self._app)} "$@"\n')
            app.chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        return {**machine_variables(), **self._environment, "PATH": path}

    async def _up(self, server: PostgreSQL | Nats) -> None:
        await asyncio.to_thread(server.start)
        self._guardian.look_after(server.process.pid)

    async def _down(self, server: PostgreSQL | Nats, *, stop: bool) -> None:
        self._guardian.forget(server.process.pid)
        await asyncio.to_thread(server.stop if stop else server.kill)

    def _addresses(self) -> Addresses:
        return Addresses(
            database_url=self.postgres.url(self._database),
            broker_url=self.nats.url(),
            payments_url=f"http://127.0.0.1:{self.payments_port}",
            jwks_url=f"http://127.0.0.1:{self.issuer_port}/.well-known/jwks.json",
            http_port=self.http_port,
            worker_port=0,
        )

    def _start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        environment = {**machine_variables(), **self._environment, **(env or {})}
        process = Process(name, argv, env=environment, cwd=ROOT, on_line=self._log(name))
        process.start()
        for ended in [known for known in self._started if not known.running]:
            self._guardian.forget(ended.pid)
            self._started.remove(ended)
        self._guardian.look_after(process.pid)
        self._started.append(process)
        return process

    def _log(self, name: str) -> Callable[[str], None]:
        path = self._folder / f"{name}.log"

        def write(line: str) -> None:
            with path.open("a") as file:
                file.write(f"{line}\n")

        return write


async def until_answered(url: str) -> None:
    """Return when a GET succeeds.

    Raises:
        TimeoutError: it does not.
    """
    async with httpx.AsyncClient(timeout=2) as client, asyncio.timeout(_START_SECONDS):
        while True:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_LOOK_SECONDS)
