"""One POST to a stranger's server: to a checked address, once, within a time and a size.

The standard library's response parser over a socket of our own. No connection pool, no proxy from the
environment, no redirect, no retry: each of them would be a way around the check of the address.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any

from accounts.webhooks.redaction import BODY_BYTES
from accounts.webhooks.targets import Address, Network, Target, addresses_to_use

MAX_RECEIVED = 64 * 1024
MAX_ADDRESSES = 16
SEND_BYTES = 16 * 1024

Resolve = Callable[[str, int, float], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said. `body` holds at most BODY_BYTES and is empty if it could not be read."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    truncated: bool
    address: str


class DeliveryFailed(Exception):
    """No answer. `code` is stable; `message` is for the subscriber and tells nothing about our network."""

    def __init__(self, code: str, message: str, address: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.address = address


class _ReceivedTooMuch(OSError):
    pass


def post(
    target: Target,
    fields: Mapping[str, str],
    body: bytes,
    *,
    seconds: float,
    exceptions: Sequence[Network] = (),
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send the request and read the answer.

    Args:
        seconds: for everything together, from the name's resolution to the last byte.
        exceptions: networks that are let through although they are not public.
        resolve: gives the addresses of a host; by default the system's resolver.
        tls: by default the system's trust store, certificate and host name checked.

    Raises:
        DeliveryFailed
    """
    deadline = time.monotonic() + seconds
    addresses = _addresses(target, deadline, exceptions, resolve or resolve_host)
    connection = None
    address = str(addresses[0])
    try:
        connection, address = _connect(addresses, target.port, deadline)
        if target.scheme == "https":
            connection = _secured(connection, target.host, tls or ssl.create_default_context(), deadline)
        stream = _BoundedStream(connection, deadline)
        stream.sendall(_head(target, fields) + body)
        return _read(stream, address)
    except TimeoutError as error:
        raise DeliveryFailed(
            "TIMED_OUT", f"There was no complete answer within {seconds:g} seconds.", address
        ) from error
    except ssl.SSLError as error:
        raise DeliveryFailed("TLS_FAILED", _tls_message(error), address) from error
    except _ReceivedTooMuch as error:
        raise DeliveryFailed(
            "ANSWER_TOO_LARGE", f"The answer's fields are over {MAX_RECEIVED} bytes.", address
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DeliveryFailed("CONNECTION_FAILED", f"The connection failed: {reason}.", address) from error
    except (HTTPException, ValueError) as error:
        raise DeliveryFailed(
            "ANSWER_MALFORMED", f"The answer is not HTTP: {type(error).__name__}.", address
        ) from error
    finally:
        if connection is not None:
            connection.close()


def resolve_host(host: str, port: int, seconds: float) -> Sequence[str]:
    """The system resolver's answer, in a thread of its own, because it cannot be given a deadline.

    Raises:
        OSError: there is no answer; TimeoutError: none in time.
    """
    outcome: list[Sequence[str] | OSError | UnicodeError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            outcome.append(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, name="webhook-resolver", daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if not outcome:
        raise TimeoutError
    if isinstance(outcome[0], Exception):
        raise OSError("no address") from outcome[0]
    return outcome[0]


def _addresses(
    target: Target, deadline: float, exceptions: Sequence[Network], resolve: Resolve
) -> list[Address]:
    """Checked here and used as they are: nobody resolves the name a second time."""
    try:
        raw = resolve(target.host, target.port, _left(deadline))
    except TimeoutError as error:
        raise DeliveryFailed("TIMED_OUT", "The host's name was not resolved in time.") from error
    except OSError:
        raw = []
    addresses = addresses_to_use(raw, exceptions)
    if not addresses:
        # One message for both: whether a name exists inside our network is nobody's business.
        raise DeliveryFailed(
            "HOST_NOT_ALLOWED",
            "The host does not resolve, or not only to public addresses. Webhooks never go to loopback, private, "
            "link-local or reserved ones.",
        )
    return addresses[:MAX_ADDRESSES]


def _connect(addresses: Sequence[Address], port: int, deadline: float) -> tuple[socket.socket, str]:
    """The first address that takes the connection."""
    failure: OSError = OSError("no address")
    for address in addresses:
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(deadline))
            connection.connect((str(address), port))
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection, str(address)
    raise failure


def _secured(connection: socket.socket, host: str, context: ssl.SSLContext, deadline: float) -> ssl.SSLSocket:
    """TLS for the URL's host, whatever address it is at."""
    connection.settimeout(_left(deadline))
    try:
        return context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _head(target: Target, fields: Mapping[str, str]) -> bytes:
    lines = [f"POST {target.raw_target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in a header field")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _read(stream: _BoundedStream, address: str) -> Answer:
    raw_response: Any = stream
    response = HTTPResponse(raw_response, method="POST")
    response.begin()
    try:
        body = response.read(BODY_BYTES + 1)
    except (OSError, HTTPException, ValueError):
        body = b""  # the status is what counts, and it came
    return Answer(response.status, response.getheaders(), body[:BODY_BYTES], len(body) > BODY_BYTES, address)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _tls_message(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate does not hold: {error.verify_message}."
    return f"TLS failed: {error.reason or 'no handshake'}."


class _BoundedStream:
    """What `http.client` needs of a socket, with one deadline and one size over everything.

    A timeout of the socket would begin anew with each byte that a slow receiver grants.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._received = 0

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._connection.settimeout(_left(self._deadline))
            rest = rest[self._connection.send(rest[:SEND_BYTES]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def receive_into(self, buffer: Any) -> int:
        if self._received >= MAX_RECEIVED:
            raise _ReceivedTooMuch
        self._connection.settimeout(_left(self._deadline))
        received = self._connection.recv_into(memoryview(buffer)[: MAX_RECEIVED - self._received])
        self._received += received
        return received


class _Reader(io.RawIOBase):
    def __init__(self, stream: _BoundedStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.receive_into(buffer)
