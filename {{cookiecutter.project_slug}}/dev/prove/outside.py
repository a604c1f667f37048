"""What lies between customers and the service, and who looks at it from there: load balancer, certificate, probes."""

import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dev.environment import ROOT
from dev.monitoring import Blackbox
from dev.ports import free_port

MODULES = ROOT / "ops" / "blackbox" / "blackbox.yaml"


class Outside:
    """The entrance of one service, and a blackbox_exporter that asks there."""

    def __init__(self, folder: Path, *, http_port: int) -> None:
        """Nothing starts here."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.blackbox = Blackbox(folder, MODULES)
        self.certificate = _Certificate(folder)
        self._http_port = http_port

    @property
    def url(self) -> str:
        """Base URL of the service, as customers know it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def balancer(self) -> tuple[str, ...]:
        """The command line of the load balancer."""
        return (sys.executable, "-m", "dev.prove.balancer", str(self.port), str(self._http_port))

    @property
    def questions(self) -> dict[str, str]:
        """By module of blackbox_exporter: what it asks."""
        return {"readiness": f"{self.url}/readyz", "certificate": f"127.0.0.1:{self.certificate.port}"}

    def start(self) -> None:
        """Start the exporter, and what shows the certificate.

        Raises:
            StartFailed: with the reason.
        """
        self.certificate.renew(timedelta(days=365))
        self.certificate.start()
        self.blackbox.start()

    def stop(self) -> None:
        """Stop them."""
        self.blackbox.stop()
        self.certificate.stop()


class _Certificate:
    """A TLS endpoint that shows a certificate, and closes."""

    def __init__(self, folder: Path) -> None:
        self._pem = folder / "certificate.pem"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server: ThreadingTCPServer | None = None
        self.port = free_port()

    def renew(self, good_for: timedelta) -> None:
        """Show another certificate from now on."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        dated = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        made = dated.not_valid_after(now + good_for).sign(key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        self._context.load_cert_chain(self._pem)

    def start(self) -> None:
        """Listen."""
        context = self._context

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                connection: Any = self.request
                try:
                    with context.wrap_socket(connection, server_side=True):
                        pass
                except OSError:
                    pass

        self._server = ThreadingTCPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
