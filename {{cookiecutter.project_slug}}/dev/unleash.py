"""A real Unleash server on a database of an embedded PostgreSQL, and what an operator does there."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import make_url

from dev import npm
from dev.environment import machine_variables
from dev.ports import free_port
from dev.postgres import PostgreSQL
from dev.process import Process, StartFailed

VERSION = "8.2.0"
ENVIRONMENT = "development"
"""The one whose rules are changed here."""
_ADMIN = "*:*.administrator-of-this-server"
_TOKEN = f"*:{ENVIRONMENT}.backend-of-this-server"
_START_SECONDS = 120.0  # about ten on an idle machine: it makes its tables
_LOOK_SECONDS = 0.1
_EVERYBODY = {"name": "flexibleRollout", "parameters": {"rollout": "100", "stickiness": "default", "groupId": "all"}}


class Unleash:
    """One server. It knows the flags that it was told of."""

    token = _TOKEN
    """What the service authenticates with."""

    def __init__(self, postgres: PostgreSQL, database: str) -> None:
        """Nothing starts here; the database is there, and empty.

        Raises:
            ToolMissing: node is not here, or the server cannot be installed.
        """
        self._port = free_port()
        url = make_url(postgres.url(database))
        env = {
            **machine_variables(),
            "NODE_ENV": "production",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(self._port),
            "DATABASE_HOST": str(url.query["host"]),
            "DATABASE_NAME": database,
            "DATABASE_USERNAME": "postgres",
            "DATABASE_PASSWORD": "",
            "DATABASE_SSL": "false",
            "AUTH_TYPE": "open-source",
            "INIT_ADMIN_API_TOKENS": _ADMIN,
            "INIT_BACKEND_API_TOKENS": _TOKEN,
            "CHECK_VERSION": "false",
            "SEND_TELEMETRY": "false",
            "LOG_LEVEL": "warn",
        }
        server = npm.installed(f"unleash-server@{VERSION}") / "node_modules" / "unleash-server" / "dist" / "server.js"
        self.process = Process("unleash", [npm.node(), server], env=env, cwd=Path("/"))

    @property
    def url(self) -> str:
        """The address that the service is told."""
        return f"http://127.0.0.1:{self._port}/api"

    async def start(self) -> None:
        """Start it on its port, and return when it answers.

        Raises:
            StartFailed: with its last words.
        """
        self.process.start()
        deadline = time.monotonic() + _START_SECONDS
        while not await self._answers():
            if not self.process.running or time.monotonic() > deadline:
                said = " ".join(self.process.last_lines[-5:])
                self.process.kill()
                raise StartFailed(f"Unleash does not start: {said}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def create(self, name: str, *strategies: Mapping[str, Any]) -> None:
        """Make a flag that is on for whom one of `strategies` chooses; without any, for everybody."""
        features = "projects/default/features"
        await self._ask("POST", features, {"name": name, "type": "release", "impressionData": False})
        for strategy in strategies or (_EVERYBODY,):
            await self._ask("POST", f"{features}/{name}/environments/{ENVIRONMENT}/strategies", strategy)
        await self.throw(name, on=True)

    async def segment(self, name: str, constraint: Mapping[str, Any]) -> int:
        """Make a segment, for strategies to refer to, and return its id."""
        return int(json.loads(await self._ask("POST", "segments", {"name": name, "constraints": [constraint]}))["id"])

    async def throw(self, name: str, *, on: bool) -> None:
        """Switch a flag on or off."""
        path = f"projects/default/features/{name}/environments/{ENVIRONMENT}/{'on' if on else 'off'}"
        await self._ask("POST", path)

    async def evaluated(self, name: str, *, users: Sequence[str], tenants: Sequence[str]) -> dict[tuple[str, str], str]:
        """Return what the server itself answers about a flag, by user and tenant: its variant, or on or off."""
        context = {"appName": "playground", "userId": ",".join(users), "properties": {"tenant": ",".join(tenants)}}
        asked = {"environments": [ENVIRONMENT], "projects": "*", "context": context}
        features = json.loads(await self._ask("POST", "playground/advanced", asked))["features"]
        (feature,) = [each for each in features if each["name"] == name]
        return {
            (each["context"]["userId"], each["context"]["tenant"]): _said(each)
            for each in feature["environments"][ENVIRONMENT]
        }

    async def _answers(self) -> bool:
        async with httpx.AsyncClient(timeout=5) as client:
            try:
                return (await client.get(f"http://127.0.0.1:{self._port}/health")).is_success
            except httpx.TransportError:
                return False

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        async with httpx.AsyncClient(base_url=f"{self.url}/admin/", headers={"Authorization": _ADMIN}) as client:
            answer = await client.request(method, path, json=body)
        if answer.is_error:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.text


def _said(answer: Mapping[str, Any]) -> str:
    variant = answer["variant"]
    return str(variant["name"]) if variant["enabled"] else "on" if answer["isEnabled"] else "off"
