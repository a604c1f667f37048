"""Everything that runs in a drill, as real processes: servers, simulators, the service, and workers that get killed."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from dev.drill.plan import Restart
from dev.drill.seats import POWER_CUT, Seat, Worker, until
from dev.environment import APP, ROOT, Addresses, machine_variables, service_name, variables
from dev.guardian import Guardian
from dev.nats import Nats, free_port
from dev.postgres import PostgreSQL
from dev.process import Process, StartFailed

_LOOK_SECONDS = 0.05
_START_SECONDS = 60.0
_DATABASE = "drill"
_IMPATIENT = {
    # Shorter than a worker's restart: what is published again is stored again, and only the inbox can drop it.
    "APP_BROKER__DUPLICATE_WINDOW_SECONDS": "0.2",
    "APP_CONSUMER_ACK_WAIT_SECONDS": "2",  # what a killed consumer had in hand comes again soon
    "APP_ORDERS__SETTLE_AFTER_SECONDS": "3",  # above the provider's timeout, as always
    "APP_ORDERS__SETTLE_MAX_SECONDS": "4",
}


class Fleet:
    """The whole installation in one folder, which also gets a log file per process. Use with `with`."""

    def __init__(self, folder: Path, *, workers: int, durable: bool = False) -> None:
        self._folder = folder
        self.postgres = PostgreSQL(folder / "postgres", durable=durable, on_line=self._log("postgres"))
        self.nats = Nats(folder / "nats", on_line=self._log("nats"))
        self._payments_port, self._issuer_port, self._http_port = free_port(), free_port(), free_port()
        self._started: list[Process] = []
        self._guardian = Guardian()  # a drill that is killed itself leaves nothing running
        self._environment: dict[str, str] = {}
        self.workers = [Worker(f"worker-{number}", self._start_worker) for number in range(workers)]
        self._worker_ports = {worker.name: free_port() for worker in self.workers}
        self.server = Seat("server", "serve", self._start)
        self.restarts: Counter[str] = Counter()
        self.servers_killed = 0
        """How often NATS or PostgreSQL was killed."""

    @property
    def seats(self) -> list[Seat]:
        """The processes of the service."""
        return [self.server, *self.workers]

    @property
    def url(self) -> str:
        """Base URL of the service."""
        return f"http://127.0.0.1:{self._http_port}"

    async def start(self) -> None:
        """Start everything except the service, whose places are taken by whoever runs `seats`.

        Raises:
            StartFailed: with the reason.
        """
        await self._up(self.postgres)
        await self._up(self.nats)
        self.postgres.create_database(_DATABASE)
        self._environment = {**variables(self._addresses()), **_IMPATIENT}
        if await self.run("migrate", "migrate"):
            raise StartFailed(f"The migration failed: {' '.join(self.said('migrate')[-1:])}")
        simulator = (sys.executable, "-m", "dev.payment_simulator", "--port", str(self._payments_port))
        self._start("payments", simulator)
        key = ("--audience", service_name(), "--key", str(self._folder / "issuer.pem"))
        self._start("issuer", (sys.executable, "-m", "dev.token_issuer", "--port", str(self._issuer_port), *key))
        await _until_answered(f"http://127.0.0.1:{self._payments_port}/authorisations")
        await _until_answered(f"http://127.0.0.1:{self._issuer_port}/.well-known/jwks.json")

    async def ready(self) -> None:
        """Return when the service answers."""
        await _until_answered(f"{self.url}/readyz")

    async def token(self) -> str:
        """Return a token that may do everything a customer does."""
        async with httpx.AsyncClient() as client:
            asked = {"tenant": "acme", "scope": "orders:read orders:write"}
            answer = await client.post(f"http://127.0.0.1:{self._issuer_port}/token", json=asked)
        return str(answer.raise_for_status().json()["access_token"])

    async def disturb_payments(self, **faults: int) -> None:
        """Set the faults of the payment provider."""
        async with httpx.AsyncClient() as client:
            answer = await client.put(f"http://127.0.0.1:{self._payments_port}/faults", json=faults)
        answer.raise_for_status()

    async def restart(self, what: Restart) -> None:
        """Take something down and up again."""
        match what:
            case Restart.HTTP_SERVER_KILLED:
                await until(lambda: self.server.running)
                self.server.kill()
            case Restart.EVERYTHING_KILLED:
                for seat in self.seats:
                    seat.kill(POWER_CUT)
                await self._down_and_up(self.nats, self.postgres, stop=False)
            case Restart.NATS_STOPPED | Restart.NATS_KILLED:
                await self._down_and_up(self.nats, stop=what is Restart.NATS_STOPPED)
            case Restart.POSTGRES_STOPPED | Restart.POSTGRES_KILLED:
                await self._down_and_up(self.postgres, stop=what is Restart.POSTGRES_STOPPED)
        self.restarts[what] += 1

    async def run(self, name: str, *command: str, within_seconds: float = _START_SECONDS, **env: str) -> int:
        """Run `app COMMAND` to its end, and return its exit status."""
        process = self._start(name, (*APP, *command), env)
        return await asyncio.to_thread(lambda: process.wait(timeout_seconds=within_seconds))

    def said(self, name: str) -> list[str]:
        """Return the lines that processes of that name have written."""
        log = self._folder / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []

    def query(self, sql: str) -> str:
        """Return the bare output of one statement."""
        return self.postgres.execute(sql, database=_DATABASE)

    def stop(self) -> None:
        """Stop what was started, the last first."""
        for process in reversed(self._started):
            process.stop()
        self.nats.stop()
        self.postgres.stop()
        self._guardian.dismiss()

    async def _down_and_up(self, *servers: PostgreSQL | Nats, stop: bool) -> None:
        for server in servers:
            self._guardian.forget(server.process.pid)
            await asyncio.to_thread(server.stop if stop else server.kill)
            self.servers_killed += not stop
        for server in servers:
            await self._up(server)

    async def _up(self, server: PostgreSQL | Nats) -> None:
        await asyncio.to_thread(server.start)
        self._guardian.look_after(server.process.pid)

    def _addresses(self) -> Addresses:
        return Addresses(
            database_url=self.postgres.url(_DATABASE),
            broker_url=self.nats.url(),
            payments_url=f"http://127.0.0.1:{self._payments_port}",
            jwks_url=f"http://127.0.0.1:{self._issuer_port}/.well-known/jwks.json",
            http_port=self._http_port,
            worker_port=0,
        )

    def _start_worker(self, name: str, argv: tuple[str, ...]) -> Process:
        return self._start(name, argv, {"APP_WORKER__PORT": str(self._worker_ports[name])})

    def _start(self, name: str, argv: tuple[str, ...], env: Mapping[str, str] | None = None) -> Process:
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


async def _until_answered(url: str) -> None:
    async with httpx.AsyncClient(timeout=2) as client, asyncio.timeout(_START_SECONDS):
        while True:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_LOOK_SECONDS)
