"""Where authentication meets HTTP: the layer that reads the token, and the dependency that asks for scopes."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import context

from .errors import InsufficientScope, KeysUnavailable, Unauthenticated
from .telemetry import REFUSALS, TOKENS
from .verifier import Principal, TokenVerifier

SCOPE_KEY = "principal"
"""Where the layer leaves the `Principal` for routes and for other layers."""

_ACCEPTED = TOKENS.labels("accepted")  # once per request: looking it up would cost as much as counting
# For the API's description only: the layer has read the header long before a route is chosen.
_described = HTTPBearer(
    bearerFormat="JWT", auto_error=False, scheme_name="bearer", description="A token with `tenant`, `sub` and `scope`."
)


class Authentication:
    """ASGI layer: a request with an Authorization header has a good token, or ends here.

    Without the header it passes: whether a route needs a caller is the route's to say, with `requires`.
    """

    def __init__(self, app: ASGIApp, *, verifier: TokenVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the token, if there is one, and pass on."""
        if scope["type"] == "http":
            values = [value for name, value in scope["headers"] if name == b"authorization"]
            if values:
                principal = await self._judge(values)
                scope[SCOPE_KEY] = principal
                current = context.current()
                current.tenant, current.actor = principal.tenant, principal.actor
        await self._app(scope, receive, send)

    async def _judge(self, values: list[bytes]) -> Principal:
        """Return who the header proves to be asking, and count what came of it."""
        try:
            principal = await self._verifier.verify(_bearer_token(values))
        except Unauthenticated as exc:
            TOKENS.labels(exc.reason).inc()
            raise
        except KeysUnavailable:
            TOKENS.labels("keys_unavailable").inc()
            raise
        _ACCEPTED.inc()
        return principal


def requires(*scopes: str) -> Callable[..., Awaitable[Principal]]:
    """Return a dependency that yields the principal if it holds all `scopes`, and describes that in the API document.

    Its errors: `Unauthenticated` without a token, `InsufficientScope` with one that allows too little.
    """
    needed = frozenset(scopes)

    async def dependency(
        request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_described, scopes=scopes)]
    ) -> Principal:
        principal: Principal | None = request.scope.get(SCOPE_KEY)
        if principal is None:
            REFUSALS.labels("no_token").inc()
            raise Unauthenticated("The request carries no token: send `Authorization: Bearer ...`.", "missing")
        missing = needed - principal.scopes
        if missing:
            REFUSALS.labels("scope").inc()
            raise InsufficientScope(f"The token lacks the scope {' '.join(sorted(missing))}.")
        return principal

    return dependency


def _bearer_token(values: list[bytes]) -> str:
    if len(values) > 1:  # two parties could each believe in a different one
        raise Unauthenticated("The request carries more than one Authorization header.", "malformed")
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("The Authorization header must read `Bearer` and a token.", "malformed")
    return token.strip()
