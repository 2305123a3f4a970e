"""A real nginx with TLS before a server, with the configuration that `deploy/nginx` ships."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.services import free_port
from tests.support.stack import PROJECT

TEMPLATE = PROJECT / "deploy/nginx/datafold.conf.template"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
WHY_SKIPPED = "no nginx on the PATH: install the distribution's package"

MAIN = """
{user}
worker_processes 2;
daemon off;
master_process on;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/datafold.conf;
}}
"""


class Nginx:
    """Runs until `stop`.

    Args:
        folder: for its files; upstream: "host:port"; port: to listen on with TLS, on the loopback interface.

    Attributes:
        origin: "https://localhost:PORT". trust: an SSL context that trusts its certificate.
    """

    def __init__(self, folder: Path, upstream: str, port: int, **settings: str) -> None:
        self.folder, self.port = folder, port
        self.http_port = free_port()
        self.origin = f"https://localhost:{port}"
        self.access_log = folder / "access.log"
        certificate = make_certificate(folder)
        self.trust = ssl.create_default_context(cafile=certificate)
        configure(
            folder,
            {
                "DATAFOLD_UPSTREAM": upstream,
                "DATAFOLD_PUBLIC_ORIGIN": self.origin,
                "DATAFOLD_HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
                "DATAFOLD_HTTPS_LISTEN": f"127.0.0.1:{port}",
                "DATAFOLD_TLS_CERTIFICATE": str(certificate),
                "DATAFOLD_TLS_KEY": str(folder / "key.pem"),
                "DATAFOLD_ACCESS_LOG": str(self.access_log),
                "DATAFOLD_CONNECTIONS_PER_ADDRESS": "100",
                "DATAFOLD_MAX_BODY": "2m",
                **settings,
            },
        )
        assert NGINX is not None
        self._process = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
        self._wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def _wait(self) -> None:
        import socket

        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "error.log").read_text()) from None
                time.sleep(0.05)
            else:
                return


def configure(folder: Path, settings: dict[str, str]) -> None:
    """Fill the template in as envsubst does in nginx's image; a variable without a value is an error."""
    filled = re.sub(r"\$\{(DATAFOLD_\w+)\}", lambda name: settings[name[1]], TEMPLATE.read_text())
    (folder / "datafold.conf").write_text(filled)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for localhost, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
