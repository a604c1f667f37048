"""Checkpoints: what is said outside the database about a tenant's log up to a segment, signed if there is a key.

A seal's hash stands for all segments before it, so the newest checkpoint alone says what the whole log must be.
"""

from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .segments import Seal
from .settings import AuditLogSettings


class Signer:
    """Signs and verifies with the keys of the settings; without any, checkpoints bear no signature."""

    def __init__(self, settings: AuditLogSettings) -> None:
        secret = settings.signing_key
        self._private = (
            Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret.get_secret_value())) if secret else None
        )
        self._public = self._private.public_key() if self._private else None
        if settings.public_key:
            self._public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(settings.public_key))

    def checkpoint(self, seal: Seal) -> bytes:
        """Return the checkpoint of the log up to `seal`: the same bytes each time."""
        said = _said(seal)
        if self._private:
            said["signature"] = self._private.sign(orjson.dumps(said)).hex()
        return orjson.dumps(said) + b"\n"

    def fault(self, checkpoint: bytes, seal: Seal) -> str | None:
        """Return what is wrong with `checkpoint` as the one of the log up to `seal`."""
        said = _said(seal)
        try:
            told: dict[str, Any] = orjson.loads(checkpoint)
            signature = bytes.fromhex(told.pop("signature", ""))
        except (ValueError, AttributeError, TypeError):
            return "the checkpoint cannot be read"
        if told != said:
            return "the checkpoint says something else"
        try:
            if self._public:
                self._public.verify(signature, orjson.dumps(said))
        except InvalidSignature:
            return "the checkpoint's signature is not of this key"
        return None


def _said(seal: Seal) -> dict[str, Any]:
    return {"tenant": seal.tenant, "number": seal.number, "last_id": seal.last_id, "hash": seal.hash.hex()}
