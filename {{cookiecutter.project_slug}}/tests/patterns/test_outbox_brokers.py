"""patterns/outbox/brokers.py: the URL says which broker, and how to reach it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr, ValidationError

from app.patterns.outbox import Acknowledged, BrokerSettings, BrokerUnavailable, Message, NatsBroker, broker_for
from app.patterns.outbox.broker import Scheme
from dev.nats import Nats


@pytest.mark.parametrize("scheme", get_args(Scheme))
def test_each_scheme_has_its_broker(scheme: str) -> None:
    """What the settings take, the relay can use."""
    assert isinstance(broker_for(settings(f"{scheme}://127.0.0.1:1")), NatsBroker)


@pytest.mark.parametrize("url", ["kafka://127.0.0.1:1", "127.0.0.1:1", ""])
def test_any_other_scheme_is_refused(url: str) -> None:
    """With the ones that there are."""
    with pytest.raises(ValidationError, match="begins with nats:// or tls://"):
        settings(url)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a certificate for this machine that nobody has heard of, with its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = (
        builder.not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "broker.pem"
    path.write_bytes(signed.public_bytes(Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return path


@pytest.fixture
def encrypted(certificate: Path, tmp_path: Path) -> Iterator[str]:
    """Yield the address of a server that speaks TLS alone."""
    tls = {"cert_file": str(certificate), "key_file": str(certificate.with_suffix(".key"))}
    server = Nats(tmp_path / "nats", more={"tls": tls})
    server.start()
    yield f"tls://127.0.0.1:{server.port}"
    server.stop()


async def test_tls_reaches_a_broker_whose_certificate_is_trusted(
    certificate: Path, encrypted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the machine's authorities, as everywhere."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    broker = broker_for(settings(encrypted))

    outcomes = await broker.publish([Message("id-1", "order.placed", b"{}")])
    await broker.close()

    assert outcomes == [Acknowledged(duplicate=False)]


async def test_tls_refuses_a_broker_that_cannot_prove_who_it_is(encrypted: str) -> None:
    """Nothing is sent to it; to the relay it is not there."""
    broker = broker_for(settings(encrypted))

    with pytest.raises(BrokerUnavailable, match="certificate verify failed"):
        await broker.open()


def settings(url: str) -> BrokerSettings:
    """Return the settings for a URL."""
    return BrokerSettings(url=SecretStr(url))
