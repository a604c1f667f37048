"""How a program logs in: with a secret of its own, for a token (OAuth 2.0, client credentials)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import httpx
from pydantic import BaseModel, Field

from .steps import expect


class _Answer(BaseModel):
    access_token: str = Field(min_length=1)


class ClientCredentials:
    """Logs in anew for each token: a secret that was changed in its file counts from the next one on."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        token_url: str,
        client_id: str,
        secret_file: Path,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """`parameters` are what else the issuer wants to be told, such as `scope` or `audience`."""
        self._client = client
        self._token_url = token_url
        self._client_id = client_id
        self._secret_file = secret_file
        self._parameters = parameters or {}

    async def token(self) -> str:
        """Return a new token.

        Raises:
            StepFailed: the issuer gives none.
        """
        secret = await asyncio.to_thread(self._secret_file.read_text)
        credentials = {"client_id": self._client_id, "client_secret": secret.strip()}
        form = {**self._parameters, "grant_type": "client_credentials", **credentials}
        return expect(await self._client.post(self._token_url, data=form), _Answer).access_token
