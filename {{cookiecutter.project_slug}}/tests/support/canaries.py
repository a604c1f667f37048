"""Canaries: secrets that can be told apart, and the world in which they are let loose."""

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.http_server import serving
from dev.postgres import PostgreSQL
from tests.support.raw_http import Answer, exchange
from tests.support.running_service import RunningService


def _card(number: int) -> str:
    digits = f"411122{number:09}"
    doubled = "0246813579"
    total = sum(int(doubled[int(digit)] if at % 2 == 0 else digit) for at, digit in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def _card_in_groups(number: int) -> str:
    card = _card(500_000 + number)
    return " ".join(card[at : at + 4] for at in range(0, 16, 4))


def _iban(number: int) -> str:
    account = f"37040044{number:010}"
    return f"DE{98 - int(f'{account}131400') % 97:02}{account}"


def _jwt(number: int) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"sub": f"canary{number:06}"}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{payload}.c2ln"


KINDS: dict[str, Callable[[int], str]] = {
    "card": _card,
    "card in groups": _card_in_groups,
    "e-mail": lambda number: f"ann.canary{number:06}@mail.example",
    "IBAN": _iban,
    "JWT": _jwt,
    "token": lambda number: f"tok_Canary{number:06}_Zm9v",
    "password": lambda number: f"Hunter2-canary{number:06}",
}
"""What is sent, each time with another number in it."""


def forms(canary: str) -> set[str]:
    """Return what to look for: the canary as it is, in a URL, and in basic credentials."""
    return {canary, quote(canary, safe=""), base64.b64encode(f"ann:{canary}".encode()).decode()}


def found(canary: str, text: str) -> bool:
    """Tell whether a canary is in a text, in any form."""
    return any(form in text for form in forms(canary))


def is_sku(canary: str) -> bool:
    """Tell whether an order may name an article like that: the order then legitimately holds it."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", canary) is not None


class Collector:
    """An OTLP receiver that keeps what it gets as it came: names, attributes, events, links, states and resources."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def take(self, request: Request) -> Response:
        """Keep one export."""
        body = await request.body()
        self.bodies.append(gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body)
        return Response(media_type="application/x-protobuf")

    @property
    def text(self) -> str:
        """Everything that was exported; strings stand in it as they are."""
        return b"\n".join(self.bodies).decode("latin-1")


class Gossip:
    """A payment provider whose first answer for an order holds a canary; from the second on it authorises."""

    def __init__(self) -> None:
        self.first: Callable[[], Response] | None = None
        self._asked: set[str] = set()

    async def authorise(self, request: Request) -> Response:
        """Answer POST /authorisations."""
        key = request.headers["idempotency-key"]
        if self.first is not None and key not in self._asked:
            self._asked.add(key)
            return self.first()
        return JSONResponse({"status": "authorised"}, 201)


@dataclass(repr=False)
class World:
    """The service, what surrounds it, and what was heard from it."""

    service: RunningService
    postgres: PostgreSQL
    provider: Gossip
    collector: Collector
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    """By input."""
    canaries: dict[str, list[str]] = field(default_factory=dict)
    """By input."""
    heard: dict[str, str] = field(default_factory=dict)
    """Everything, by channel, once it is over."""

    async def send(self, raw: bytes, *, port: int | None = None) -> Answer:
        """Send a request to the API, or to another port."""
        return await exchange(port or self.service.addresses.http_port, raw)

    def sql(self, statement: str) -> str:
        """Run a statement in the service's database."""
        return self.postgres.execute(statement, database=self.service.database)


@contextmanager
def listening() -> Iterator[tuple[Collector, str, Gossip, str]]:
    """Yield a collector and a gossiping provider, each with its URL."""
    collector, provider = Collector(), Gossip()
    exports = Starlette(routes=[Route("/v1/traces", collector.take, methods=["POST"])])
    authorisations = Starlette(routes=[Route("/authorisations", provider.authorise, methods=["POST"])])
    with serving(exports) as exports_url, serving(authorisations) as provider_url:
        yield collector, f"{exports_url}/v1/traces", provider, provider_url
