"""Where authentication meets HTTP: the layer that reads the token, and the dependency that asks for scopes."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import context

from .errors import InsufficientScope, Unauthenticated
from .verifier import Principal, TokenVerifier

SCOPE_KEY = "principal"
"""Where the layer leaves the `Principal` for routes and for other layers."""

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
                principal = await self._verifier.verify(_bearer_token(values))
                scope[SCOPE_KEY] = principal
                current = context.current()
                current.tenant, current.actor = principal.tenant, principal.actor
        await self._app(scope, receive, send)


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
            raise Unauthenticated("The request carries no token: send `Authorization: Bearer ...`.")
        missing = needed - principal.scopes
        if missing:
            raise InsufficientScope(f"The token lacks the scope {' '.join(sorted(missing))}.")
        return principal

    return dependency


def _bearer_token(values: list[bytes]) -> str:
    if len(values) > 1:  # two parties could each believe in a different one
        raise Unauthenticated("The request carries more than one Authorization header.")
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("The Authorization header must read `Bearer` and a token.")
    return token.strip()
