"""The connection itself: pinned, bounded in time and size, no way around."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from accounts.webhooks.redaction import BODY_BYTES
from accounts.webhooks.targets import Target, parse_target
from accounts.webhooks.transport import Answer, DeliveryFailed, post, resolve_host
from tests.webhooks.receiver import RawReceiver, Receiver

LOOPBACK = [ipaddress.ip_network("127.0.0.1/32")]


def target(
    port: int, *, scheme: str = "http", host: str = "hooks.example.com", path: str = "/hook"
) -> Target:
    return parse_target(f"{scheme}://{host}:{port}{path}", schemes={"http", "https"}, ports={port})


def to_loopback(host: str, port: int, seconds: float) -> list[str]:
    return ["127.0.0.1"]


def call(where: Target, body: bytes = b"{}", **changes: Any) -> Answer:
    fields = {"Host": where.authority, "Content-Length": str(len(body))}
    arguments = {"seconds": 5.0, "exceptions": LOOPBACK, "resolve": to_loopback, **changes}
    return post(where, fields, body, **arguments)


def failure(where: Target, **changes: Any) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        call(where, **changes)
    return failed.value


@pytest.fixture
def raw() -> Iterator[Callable[..., RawReceiver]]:
    receivers: list[RawReceiver] = []

    def start(serve: Callable[[socket.socket], None]) -> RawReceiver:
        receivers.append(RawReceiver(serve))
        return receivers[-1]

    yield start
    for receiver in receivers:
        receiver.stop()


@pytest.fixture
def plain() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.stop()


# --- Rebinding: what was checked is what is connected to ---------------------------------------------------


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.1"],
        [],
    ],
)
def test_a_name_that_resolves_to_a_closed_address_is_never_connected_to(
    plain: Receiver, addresses: list[str]
) -> None:
    failed = failure(target(plain.port), exceptions=[], resolve=lambda *_: addresses)
    assert failed.code == "HOST_NOT_ALLOWED"
    assert not any(address in failed.message for address in addresses)
    assert plain.received == []


def test_a_name_is_resolved_once_so_that_the_second_answer_never_counts(plain: Receiver) -> None:
    """A rebinding name server: first an address that passes, then one that must not be reached."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    def rebinding(host: str, port: int, seconds: float) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    answer = call(target(plain.port), resolve=rebinding)
    assert (answer.status, answer.address) == (204, "127.0.0.1")
    assert asked == ["hooks.example.com"]
    assert plain.received[0].header("Host") == f"hooks.example.com:{plain.port}"


def test_the_second_address_is_tried_where_the_first_takes_no_connection(plain: Receiver) -> None:
    """127.0.0.2 has nobody listening."""
    network = [ipaddress.ip_network("127.0.0.0/8")]
    answer = call(target(plain.port), exceptions=network, resolve=lambda *_: ["127.0.0.2", "127.0.0.1"])
    assert answer.address == "127.0.0.1"


def test_a_resolver_that_hangs_costs_no_more_than_the_deadline() -> None:
    def hang(host: str, port: int, seconds: float) -> list[str]:
        raise TimeoutError

    assert failure(target(443, scheme="https"), resolve=hang).code == "TIMED_OUT"


def test_the_systems_resolver_is_asked_within_a_time() -> None:
    assert "127.0.0.1" in resolve_host("localhost", 80, 5.0)
    with pytest.raises(OSError, match="no address"):
        resolve_host("does-not-exist.invalid", 80, 20.0)


def test_proxies_of_the_environment_are_not_used(plain: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    assert call(target(plain.port)).status == 204


# --- Bounds ----------------------------------------------------------------------------------------------


def test_a_redirect_is_an_answer_and_is_not_followed(plain: Receiver) -> None:
    plain.answer(302, Location=plain.url("/elsewhere"))
    assert call(target(plain.port)).status == 302
    assert [got.path for got in plain.received] == ["/hook"]


def say_nothing(connection: socket.socket) -> None:
    """Until the caller hangs up."""
    while connection.recv(65536):
        pass


def read_nothing(connection: socket.socket) -> None:
    time.sleep(2)


def drip(text: bytes, pause: float) -> Callable[[socket.socket], None]:
    """A slow-loris: a byte now and then, so that no single read ever times out."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        for byte in text * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return serve


@pytest.mark.parametrize(
    "text", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: aaaaaaaaaaaaaa", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
def test_a_slow_receiver_is_left_at_the_deadline(raw: Any, text: bytes) -> None:
    receiver = raw(drip(text, 0.02) if text else say_nothing)
    started = time.monotonic()
    assert failure(target(receiver.port), seconds=0.5).code == "TIMED_OUT"
    assert time.monotonic() - started < 1.5


def test_a_status_counts_even_if_the_body_never_comes(raw: Any) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        connection.recv(1)  # until the caller hangs up

    answer = call(target(raw(serve).port), seconds=0.5)
    assert (answer.status, answer.body) == (200, b"")


def test_a_receiver_that_does_not_read_is_left_at_the_deadline(raw: Any) -> None:
    receiver = raw(read_nothing)
    started = time.monotonic()
    assert failure(target(receiver.port), body=b"x" * 50_000_000, seconds=0.5).code == "TIMED_OUT"
    assert time.monotonic() - started < 1.5


def test_a_tls_handshake_that_never_ends_is_left_at_the_deadline(raw: Any) -> None:
    receiver = raw(say_nothing)
    assert failure(target(receiver.port, scheme="https"), seconds=0.5).code == "TIMED_OUT"


def test_only_the_beginning_of_a_long_answer_is_read(plain: Receiver) -> None:
    plain.answer(200, b"a" * 10_000_000)
    answer = call(target(plain.port))
    assert (answer.status, len(answer.body), answer.truncated) == (200, BODY_BYTES, True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"X-Long: a\r\n" * 20_000 + b"\r\n", "ANSWER_MALFORMED"),
        (b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"a" * 60_000 + b"\r\n") * 3 + b"\r\n", "ANSWER_TOO_LARGE"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, "ANSWER_TOO_LARGE"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "ANSWER_MALFORMED"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "ANSWER_MALFORMED"),
        (b"\x00" * 100, "ANSWER_MALFORMED"),
        (b"", "CONNECTION_FAILED"),
    ],
)
def test_an_answer_that_is_none_is_told_from_a_status(raw: Any, text: bytes, code: str) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)

    assert failure(target(raw(serve).port)).code == code


def test_nobody_listening_is_a_failed_connection(plain: Receiver) -> None:
    port = plain.port
    plain.stop()
    assert failure(target(port)).code == "CONNECTION_FAILED"


# --- TLS -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side for hooks.example.com, and a caller's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = Path(tmp_path_factory.mktemp("tls")) / "both.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=certificate.public_bytes(pem).decode())


@pytest.fixture
def secure(tls: Any) -> Iterator[Receiver]:
    names: list[str | None] = []
    tls[0].sni_callback = lambda connection, name, context: names.append(name)
    started = Receiver(tls=tls[0])
    started.server_names = names  # type: ignore[attr-defined]
    yield started
    started.stop()


def test_tls_is_for_the_urls_host_at_the_pinned_address(secure: Any, tls: Any) -> None:
    answer = call(target(secure.port, scheme="https"), tls=tls[1])
    assert (answer.status, answer.address) == (204, "127.0.0.1")
    assert secure.server_names == ["hooks.example.com"]


def test_a_certificate_for_another_host_is_refused(secure: Receiver, tls: Any) -> None:
    failed = failure(target(secure.port, scheme="https", host="other.example.com"), tls=tls[1])
    assert failed.code == "TLS_FAILED"
    assert "certificate" in failed.message
    assert secure.received == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Receiver) -> None:
    assert failure(target(secure.port, scheme="https")).code == "TLS_FAILED"
