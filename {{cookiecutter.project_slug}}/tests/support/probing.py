"""`app probe` as a process, what it shows, and a gate on its way to the API."""

import re
import threading
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dev.environment import probe_variables
from dev.ports import free_port
from tests.support.eventually import eventually
from tests.support.running_service import READ_AND_WRITE, service_process

_PREFIX = "synthetic_journey_"
_PASSED_ON = ("content-type", "x-read-after")


class RunningProbe:
    """One process that tries a customer's steps, five times a second unless a test wants it otherwise."""

    def __init__(self, *, base_url: str, token_url: str, secret_file: Path, **settings: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        own = probe_variables(
            base_url=base_url, token_url=token_url, secret_file=secret_file, port=port, scope=READ_AND_WRITE
        )
        # Patient: on a busy machine, a slow step is not the failure that a test is about.
        pace = {"APP_PROBE__INTERVAL_SECONDS": "0.2", "APP_PROBE__STEP_TIMEOUT_SECONDS": "60"}
        self.process = service_process("probe", {**own, **pace, **settings})

    async def start(self) -> None:
        """Start, and return when it answers."""
        self.process.start()
        await self.process.wait_until_ready(f"{self.url}/readyz", within_seconds=60)

    async def shown(self) -> dict[str, float]:
        """Return what it exposes of its journey, such as `runs_total success` or `step_failures_total buy status`."""
        async with httpx.AsyncClient() as client:
            exposed = (await client.get(f"{self.url}/metrics")).text
        shown = {}
        for name, labels, value in re.findall(rf"^{_PREFIX}(\w+)\{{(.*)\}} (\S+)$", exposed, re.MULTILINE):
            named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            assert named.pop("journey") == "order"
            shown[" ".join([name, *(named[label] for label in sorted(named, reverse=True))])] = float(value)
        return shown

    async def succeeds(self) -> dict[str, float]:
        """Wait until the last run was a success, and return what is shown then."""

        async def look() -> dict[str, float] | None:
            shown = await self.shown()
            return shown if shown["success"] else None

        return await eventually(look, within_seconds=60)

    async def fails(self) -> tuple[str, str]:
        """Wait for the first run that fails, and return step and reason."""
        lines = await eventually(lambda: self.process.logged("synthetic_journey.failed"), within_seconds=60)
        return lines[0]["step"], lines[0]["reason"]


class Gate:
    """Passes requests on to the API; those to cancel an order it can hold, for as long as whoever asks waits."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self._target = target
        self.holds = False
        self.held = threading.Event()
        self.agents: set[str] = set()

    def app(self) -> Starlette:
        """Return the HTTP side."""
        return Starlette(routes=[Route("/{path:path}", self._pass, methods=["GET", "POST"])])

    async def _pass(self, request: Request) -> Response:
        self.agents.add(request.headers["user-agent"])
        if self.holds and request.url.path.endswith("/cancel"):
            self.held.set()
            while (await request.receive())["type"] != "http.disconnect":
                pass
            return Response(status_code=503)  # nobody hears it, and the API never hears of the request
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "content-length"}}
        url = httpx.URL(self._target + request.url.path, query=request.url.query.encode())
        async with httpx.AsyncClient() as client:
            answer = await client.request(request.method, url, content=await request.body(), headers=headers)
        passed_on = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        return Response(answer.content, answer.status_code, passed_on)
