"""One installation of the service that faults are put into: processes, customers, and what a platform would do."""

import asyncio
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from dev.environment import probe_variables
from dev.installation import SCOPES, Installation, until_answered
from dev.monitoring import Prometheus
from dev.ops.runbooks import KUBECTL
from dev.ports import free_port
from dev.process import Process
from dev.prove import forks
from dev.prove.customers import PER_SECOND, Customers
from dev.prove.outside import Outside
from dev.prove.sink import Sink

_LOOK_SECONDS = 0.05
_BAD = "dev.prove.bad_release"
PRELOADED = ("app.cli", _BAD, "dev.prove.watchful")
"""What the processes of lanes are forked from has imported these."""
_ONE_START = asyncio.Semaphore(1)
"""Programs start one after the other, in whichever lane: each takes a core for seconds, and customers are served by
what is left."""
_OF_STARTS = frozenset({"CrashLooping", "EventLoopBlocked"})
"""Each release starts at the address of the one before, where a platform gives it a new one; and what a start takes at
once, half a second, is the better part of a minute here."""
_IMPATIENT = {
    "APP_CONSUMER_ACK_WAIT_SECONDS": "2",
    "APP_ORDERS__SETTLE_AFTER_SECONDS": "3",
    "APP_ORDERS__SETTLE_MAX_SECONDS": "4",
}
_PROBE_SECONDS = 1.0

_PORTS = {"serve": "APP_HTTP__PORT", "worker": "APP_WORKER__PORT", "probe": "APP_PROBE__PORT"}
_TRACED = {
    "APP_TRACING__EXPORT_DELAY_SECONDS": "0.5",
    "APP_TRACING__EXPORT_TIMEOUT_SECONDS": "1",
}


@dataclass
class Replica:
    """One place of a deployment."""

    name: str
    command: str
    port: int
    module: str = "app.cli"
    """Whose `main` is run."""
    process: Process | None = None
    bad_release: str | None = None
    """What is wrong with the release that runs there now; None if it is the good one."""
    env: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.running


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What watches all lanes."""

    prometheus: Prometheus
    sink: Sink
    rules: Path
    """The folder of its rules."""


class Lane(Installation):
    """The installation named `name`, which is also the label `service` of all its series."""

    def __init__(
        self,
        name: str,
        folder: Path,
        forked_at: Path,
        *,
        http: int = 1,
        customers: float = PER_SECOND,
        outside: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing starts here. Processes are forked by who listens at `forked_at`; `customers` come in a second.

        With `outside`, all come through a load balancer, and somebody looks from there.
        """
        self._forks = forked_at
        self.collector: Process | None = None
        self._collector_port = free_port()
        traced = {
            **_TRACED,
            "APP_TRACING__RATIO": "1" if name == "releases" else "0",
            "APP_TRACING__OTLP_ENDPOINT": f"http://127.0.0.1:{self._collector_port}/v1/traces",
        }
        app = forks.program(forked_at, "app.cli")
        super().__init__(folder, database="prove", settings={**_IMPATIENT, **traced, **(settings or {})}, app=app)
        self.name = name
        self.deployments = {
            "http": [Replica(f"http-{number}", "serve", free_port()) for number in range(1, http + 1)],
            "worker": [Replica("worker-1", "worker", free_port())],
        }
        self.outside = Outside(folder / "outside", http_port=self.deployments["http"][0].port) if outside else None
        if self.outside:
            self.deployments["probe"] = [Replica("probe", "probe", free_port())]
        self.balancer: Process | None = None
        self.customers = Customers(self, customers)
        self.monitoring: Monitoring | None = None
        self.tasks: list[asyncio.Task[None]] = []
        """Of faults that go on while the lane does other things."""
        self.found: dict[str, str] = {}
        """What blocks of runbooks have found, by the name that their commands use."""
        self.aftermath: set[str] = set()
        """Alerts that earlier faults leave behind, such as tickets for a budget that is spent."""

    @property
    def targets(self) -> dict[str, list[str]]:
        """By job: what Prometheus scrapes."""
        return {
            job: [f"127.0.0.1:{replica.port}" for replica in replicas] for job, replicas in self.deployments.items()
        }

    async def start(self) -> None:
        """Start everything, and return when the service answers."""
        await super().start()
        self.start_collector()
        await self.furnish()
        if self.outside:
            await asyncio.to_thread(self.outside.start)
            self.start_balancer()
        for replica in self._replicas():
            self.launch(replica)
        for replica in self._replicas():
            await until_answered(f"{replica.url}/readyz")

    def start_collector(self) -> None:
        """Start what takes the spans."""
        argv = (sys.executable, "-m", "dev.otlp_receiver", "--port", str(self._collector_port))
        self.collector = self._start("collector", argv)

    def start_balancer(self) -> None:
        """Start what stands before the service."""
        assert self.outside
        self.balancer = self._start("balancer", self.outside.balancer)

    def stop(self) -> None:
        """Stop everything."""
        if self.outside:
            self.outside.stop()
        super().stop()

    async def furnish(self) -> None:
        """Add what this kind of lane has more, before the service starts."""

    async def ask_whether_ready(self) -> None:
        """Ask each process whether it is ready, as a platform does, until cancelled: its metrics say what it found."""

        async def ask(client: httpx.AsyncClient, replica: Replica) -> None:
            with suppress(httpx.TransportError):
                await client.get(f"{replica.url}/readyz")

        async with httpx.AsyncClient(timeout=2) as client:
            while True:
                await asyncio.gather(*(ask(client, replica) for replica in self._replicas()))
                await asyncio.sleep(_PROBE_SECONDS)

    def query_replica(self, sql: str) -> str:  # noqa: ARG002 - others have one
        """Return the bare output of one statement of the replica of the database; nothing where there is none."""
        return ""

    def launch(self, replica: Replica) -> None:
        """Start the process of a place."""
        bad = (*forks.program(self._forks, _BAD), str(replica.bad_release))
        argv = forks.program(self._forks, replica.module) if replica.bad_release is None else bad
        env = {_PORTS[replica.command]: str(replica.port), **replica.env}
        if self.outside and replica.command == "probe":
            token_url = f"http://127.0.0.1:{self.issuer_port}/token"
            env |= probe_variables(
                base_url=self.outside.url, token_url=token_url, secret_file=self.secret, port=replica.port, scope=SCOPES
            )
            env |= {"APP_PROBE__INTERVAL_SECONDS": "2", "APP_PROBE__STEP_TIMEOUT_SECONDS": "2"}
        replica.process = self._start(replica.name, (*argv, replica.command), env)

    async def release(self, deployment: str, mistake: str, **env: str) -> None:
        """Roll a bad release out to the last place of a deployment, where it stays until somebody takes it back."""
        replica = self.deployments[deployment][-1]
        replica.bad_release, replica.env = mistake, env
        await self.restart(replica)

    async def keep_alive(self, replica: Replica) -> None:
        """Start a process again whenever it ends, as a platform does, as long as its release is a bad one."""
        while replica.bad_release:
            if not replica.running:
                self.launch(replica)
            await asyncio.sleep(_LOOK_SECONDS)

    async def end_tasks(self) -> None:
        """End what goes on by itself."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def restart(self, replica: Replica) -> None:
        """Stop a process, start it anew, and return when it is ready."""
        self.aftermath |= _OF_STARTS
        async with _ONE_START:
            if replica.process is not None:
                await asyncio.to_thread(replica.process.stop)
            self.launch(replica)
            await until_answered(f"{replica.url}/readyz")

    async def kill_broker(self) -> None:
        """Kill NATS."""
        await self._down(self.nats, stop=False)

    async def start_broker(self) -> None:
        """Start NATS on its old port, with its messages, if it does not run."""
        if not self.nats.process.running:
            await self._up(self.nats)

    async def restart_broker(self) -> None:
        """Stop NATS, and start it as it is configured now."""
        await self._down(self.nats, stop=True)
        await self._up(self.nats)

    async def platform(self, command: str) -> str:
        """Carry out what a runbook asks of the platform, and return what it says.

        Raises:
            ValueError: no such command.
        """
        found = KUBECTL.fullmatch(command)
        if not found:
            raise ValueError(f"no such command of the platform: {command}")
        replicas = self.deployments.get(found["what"].removeprefix("deployment/"), [])
        match found["verb"]:
            case "rollout restart":
                for replica in replicas:
                    await self.restart(replica)
            case "rollout undo":
                for replica in [each for each in replicas if each.bad_release or each.env]:
                    replica.bad_release, replica.env = None, {}
                    await asyncio.gather(*self.tasks)  # what kept the bad one alive
                    await self.restart(replica)
            case "rollout status" | "scale":
                for replica in [each for each in replicas if not each.running]:
                    self.launch(replica)
            case "logs":
                return "\n".join(line for replica in replicas for line in self.said(replica.name)[-20:])
            case "get":
                return "\n".join(f"{each.name} {'Running' if each.running else 'Error'}" for each in self._replicas())
        return command

    def filled(self, text: str) -> str:
        """Return a block of a runbook with what earlier blocks have found."""
        return re.sub(r"\$([a-z]+)\b", lambda name: self.found.get(name[1], name[0]), text)

    def _replicas(self) -> list[Replica]:
        return [replica for replicas in self.deployments.values() for replica in replicas]
