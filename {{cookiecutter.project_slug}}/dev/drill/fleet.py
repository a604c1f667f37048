"""Everything that runs in a drill, as real processes: servers, simulators, the service, and workers that get killed."""

from collections import Counter
from pathlib import Path

from dev.drill.plan import Restart
from dev.drill.seats import POWER_CUT, Seat, Worker, until
from dev.installation import Installation
from dev.nats import Nats
from dev.ports import free_port
from dev.postgres import PostgreSQL
from dev.process import Process

_IMPATIENT = {
    # Shorter than a worker's restart: what is published again is stored again, and only the inbox can drop it.
    "APP_BROKER__DUPLICATE_WINDOW_SECONDS": "0.2",
    "APP_CONSUMER_ACK_WAIT_SECONDS": "2",  # what a killed consumer had in hand comes again soon
    "APP_ORDERS__SETTLE_AFTER_SECONDS": "3",  # above the provider's timeout, as always
    "APP_ORDERS__SETTLE_MAX_SECONDS": "4",
}


class Fleet(Installation):
    """The whole installation. Once started, the places of the service are taken by whoever runs `seats`."""

    def __init__(self, folder: Path, *, workers: int, durable: bool = False) -> None:
        super().__init__(folder, database="drill", durable=durable, settings=_IMPATIENT)
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

    async def _down_and_up(self, *servers: PostgreSQL | Nats, stop: bool) -> None:
        for server in servers:
            await self._down(server, stop=stop)
            self.servers_killed += not stop
        for server in servers:
            await self._up(server)

    def _start_worker(self, name: str, argv: tuple[str, ...]) -> Process:
        return self._start(name, argv, {"APP_WORKER__PORT": str(self._worker_ports[name])})
