"""Health probes: tell the platform when to route, when to wait and when to restart.

Use when: a platform (Kubernetes, a load balancer) decides by HTTP whether a process gets traffic or is killed.
Not when: you want to know whether users are served - that is a synthetic probe and an SLO, from outside.
Costs:    each dependency's check at most once a second, however often the platform asks; a series per check.
Fails:    a dependency down -> not ready, never dead: restarting this process would not repair it, and restarting all of
          them at once turns an outage of the dependency into one of the service.
Copy:     this file, kit/clock.py, kit/errors.py, kit/histogram.py, kit/instruments.py.
Origin:   liveness and readiness probes of Kubernetes; "Release It!" (Nygard, 2018), health checks.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.clock import Clock, SystemClock
from app.kit.errors import AppError
from app.kit.instruments import gauge

Check = Callable[[], Awaitable[object]]
"""Returns when the dependency works, raises when it does not; what it returns is ignored."""
Status = Literal["pass", "warn", "fail"]

CHECKS = gauge("health_check_success", "Whether a dependency worked when it was last asked: 1 or 0.", {"check": 10})
PATHS = frozenset({"/livez", "/readyz", "/startupz"})
_log = structlog.get_logger(__name__)
_CACHE_SECONDS = 1.0  # many load balancers probing at once must not become load on the database


@dataclass(frozen=True, slots=True)
class Report:
    """What one probe answers."""

    status: Status
    checks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Registered:
    name: str
    check: Check
    timeout_seconds: float
    required: bool


class Health:
    """The state of this process: started, draining, and what its dependencies say."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._checks: list[_Registered] = []
        self._started = False
        self._draining = False
        self._refreshing = asyncio.Lock()
        self._dependencies = Report("pass")
        self._fresh_until = float("-inf")

    def add_check(self, name: str, check: Check, *, timeout_seconds: float = 1.0, required: bool = True) -> None:
        """Ask `check` before calling this process ready.

        `required=False` is for what the service can do without for a while: its failure is shown as `warn`, and the
        process stays ready. Think twice before requiring what all replicas share.
        """
        self._checks.append(_Registered(name, check, timeout_seconds, required))

    def mark_started(self) -> None:
        """Say that start-up is done: from now on /startupz passes and /readyz asks the checks."""
        self._started = True

    def start_draining(self) -> None:
        """Ask for no more traffic, at once and for good; requests in hand go on."""
        self._draining = True

    def live(self) -> Report:
        """Return whether the event loop answers; that this code runs is the proof."""
        return Report("pass")

    def startup(self) -> Report:
        """Return whether start-up is done."""
        return Report("pass") if self._started else _not_yet("starting")

    async def ready(self) -> Report:
        """Return whether this process should get traffic."""
        if self._draining:
            return _not_yet("draining")
        if not self._started:
            return _not_yet("starting")
        async with self._refreshing:  # probes that arrive together share one round of checks
            if self._clock.monotonic() >= self._fresh_until:
                before, self._dependencies = self._dependencies, await self._ask_all()
                if before != self._dependencies:
                    self._report_change()
                self._fresh_until = self._clock.monotonic() + _CACHE_SECONDS
        return self._dependencies

    def _report_change(self) -> None:
        log = _log.info if self._dependencies.status == "pass" else _log.warning
        checks = {name: answer.get("detail", "pass") for name, answer in self._dependencies.checks.items()}
        log("health.readiness_changed", status=self._dependencies.status, checks=checks)

    async def _ask_all(self) -> Report:
        answers = await asyncio.gather(*(_ask(registered) for registered in self._checks))
        checks = {registered.name: answer for registered, answer in zip(self._checks, answers, strict=True)}
        for name, answer in checks.items():
            CHECKS.labels(name).set(answer["status"] == "pass")
        statuses = {answer["status"] for answer in answers}
        worst: Status = "fail" if "fail" in statuses else "warn" if "warn" in statuses else "pass"
        return Report(worst, checks)


class HealthProbes:
    """ASGI layer: answers GET and HEAD of /livez, /readyz and /startupz; everything else passes through."""

    def __init__(self, app: ASGIApp, *, health: Health) -> None:
        self._app = app
        self._health = health

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["path"] in PATHS and scope["method"] in {"GET", "HEAD"}:
            return self._answer(scope, receive, send)
        return self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/livez":
                report = self._health.live()
            case "/startupz":
                report = self._health.startup()
            case _:
                report = await self._health.ready()
        status = 503 if report.status == "fail" else 200
        body = json.dumps({"status": report.status, "checks": report.checks}).encode()
        response = Response(body, status, {"Cache-Control": "no-store"}, "application/json")
        await response(scope, receive, send)


def _not_yet(state: str) -> Report:
    return Report("fail", {"process": {"status": "fail", "detail": state}})


async def _ask(registered: _Registered) -> Mapping[str, str]:
    try:
        async with asyncio.timeout(registered.timeout_seconds):
            await registered.check()
    except TimeoutError:
        detail = f"no answer within {registered.timeout_seconds:g} s"
    except Exception as exc:  # noqa: BLE001 - any failure of a dependency means the same here
        # Our own errors are written for strangers; another's message may hold an address or a password.
        detail = exc.detail if isinstance(exc, AppError) else type(exc).__name__
    else:
        return {"status": "pass"}
    return {"status": "fail" if registered.required else "warn", "detail": detail}
