"""`python -m project.provision SECRETS TLS`: make what a first start of `compose.yaml` needs, once.

Writes the secrets and, unless there is one, a self-signed certificate; what exists is left as it is, so a
certificate of one's own goes into the TLS folder under the same names.
"""

from __future__ import annotations

import os
import secrets
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# The folders are volumes that only the services which need them mount; those run as different users.
MODE = 0o644
CERTIFICATE_DAYS = 397


def main(secrets_folder: Path, tls_folder: Path, host: str) -> None:
    """Write secret_key, encryption_keys, postgres_password and database_url, and the certificate for `host`."""
    write_once(secrets_folder / "secret_key", secrets.token_urlsafe(64))
    write_once(secrets_folder / "encryption_keys", Fernet.generate_key().decode())
    password = write_once(secrets_folder / "postgres_password", secrets.token_urlsafe(32))
    write_once(secrets_folder / "database_url", f"postgres://datafold:{password}@postgres:5432/datafold")
    if not (tls_folder / "tls.crt").exists():
        certificate, key = self_signed(host, datetime.now(UTC))
        write_once(tls_folder / "tls.key", key)
        write_once(tls_folder / "tls.crt", certificate)


def write_once(path: Path, value: str) -> str:
    """The file's content: `value`, or what an earlier start wrote."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w") as file:
            file.write(value)
    except FileExistsError:
        return path.read_text()
    return value


def self_signed(host: str, now: datetime) -> tuple[str, str]:
    """(certificate, private key) in PEM, for a server that clients are told to trust by hand."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([_alternative_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def _alternative_name(host: str) -> x509.GeneralName:
    """An address is none of the names that a client looks for (RFC 9110, section 4.3.5)."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), os.environ.get("DATAFOLD_HOST", "localhost"))
