"""patterns/synthetic_journey/client_credentials.py: how a program logs in, against a real issuer."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import jwt
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from app.patterns.synthetic_journey import ClientCredentials, Reason, StepFailed
from dev.http_server import serving
from dev.token_issuer import SigningKey, TokenIssuer


@pytest.fixture
def issuer(tmp_path: Path) -> TokenIssuer:
    """Return an issuer that knows one program by the secret in `secret`."""
    issuer = TokenIssuer(SigningKey.generate(), audience="orders-test")
    issuer.clients["probe"] = tmp_path / "secret"
    return issuer


@pytest.fixture
async def credentials(issuer: TokenIssuer, tmp_path: Path) -> AsyncIterator[ClientCredentials]:
    """Yield the program's credentials, with the same secret in a file of its own."""
    for name in ("secret", "own"):
        (tmp_path / name).write_text("opens-the-door\n")
    with serving(issuer.app()) as url:
        async with httpx.AsyncClient() as client:
            yield ClientCredentials(
                client,
                token_url=f"{url}/token",
                client_id="probe",
                secret_file=tmp_path / "own",
                parameters={"tenant": "probe", "scope": "orders:read"},
            )


async def test_a_token_is_of_the_programs_tenant(credentials: ClientCredentials) -> None:
    """What the issuer wants to be told comes to it, and the secret's last line break does not."""
    claims = jwt.decode(await credentials.token(), options={"verify_signature": False})

    assert (claims["sub"], claims["tenant"], claims["scope"]) == ("probe", "probe", "orders:read")


async def test_a_changed_secret_counts_at_once(credentials: ClientCredentials, tmp_path: Path) -> None:
    """The old one is refused as soon as the issuer has the new one, and the file is read again for each login."""
    (tmp_path / "secret").write_text("new")
    with pytest.raises(StepFailed) as refused:
        await credentials.token()

    (tmp_path / "own").write_text("new")
    again = await credentials.token()

    assert (refused.value.reason, refused.value.detail) == (Reason.STATUS, "answered with 401, and not with 200")
    assert again


async def test_an_answer_without_a_token_is_no_login(tmp_path: Path) -> None:
    """An empty one is none either; and what is told repeats nothing that might be secret."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"access_token": "", "refresh_token": "hunter2"})(scope, receive, send)

    (tmp_path / "own").write_text("hunter2")
    with serving(answer) as url:
        async with httpx.AsyncClient() as client:
            credentials = ClientCredentials(client, token_url=url, client_id="probe", secret_file=tmp_path / "own")
            with pytest.raises(StepFailed) as failed:
                await credentials.token()

    assert (failed.value.reason, failed.value.detail) == (Reason.CONTENT, "access_token: string_too_short")
