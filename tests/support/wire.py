"""Talking to a running server: by an ordinary HTTP client, and byte by byte."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.support.signing import SignedRequest, Signer


class Caller:
    """A plain client that sends what the independent signer signed.

    Args:
        base_url: of the server.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.http = httpx2.Client(base_url=base_url, trust_env=False, timeout=20)

    def send(self, signed: SignedRequest) -> httpx2.Response:
        """Exactly these bytes, exactly once."""
        return self.http.request(
            signed.method, signed.url, headers=signed.headers, content=signed.content or None
        )

    def signed(
        self, signer: Signer, method: str, path: str, body: Any = None, **signing: Any
    ) -> httpx2.Response:
        return self.send(self.prepare(signer, method, path, body, **signing))

    def prepare(
        self, signer: Signer, method: str, path: str, body: Any = None, **signing: Any
    ) -> SignedRequest:
        return signer.sign(method, self.base_url + path, json_body=body, **signing)

    def register(self, signer: Signer, **members: Any) -> httpx2.Response:
        body = {"client_id": signer.key_id, "public_key": signer.public_hex, **members}
        return self.http.post("/api/v1/crypto/keys/register", json=body)

    def close(self) -> None:
        self.http.close()


def assert_refused(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is this refusal, in the envelope; returns its error."""
    assert response.status_code == status, response.text
    body = response.json()
    assert list(body) == ["success", "data", "error", "meta"]
    assert body["success"] is False
    assert body["data"] is None
    error: dict[str, Any] = body["error"]
    assert error["code"] == code, error
    assert error["status"] == status
    assert error["message"].strip()
    assert isinstance(error["details"], dict)
    assert body["meta"]["timestamp"].endswith("Z")
    assert body["meta"]["path"] == response.url.path
    assert body["meta"]["request_id"] == response.headers["X-Request-ID"]
    return error


def assert_granted(response: httpx2.Response, status: int = 200) -> Any:
    """The answer is a success in the envelope; returns the whole body."""
    assert response.status_code == status, response.text
    body = response.json()
    assert list(body) == ["success", "data", "error", "meta"]
    assert body["success"] is True
    assert body["error"] is None
    assert body["meta"]["timestamp"].endswith("Z")
    assert body["meta"]["request_id"] == response.headers["X-Request-ID"]
    return body


class RawConnection:
    """One TCP connection, to say what no HTTP library would."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self._stream = self._socket.makefile("rb")

    def send(self, data: str | bytes) -> None:
        self._socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def readable(self, seconds: float) -> bool:
        """Whether something comes within `seconds`."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def read_answer(self) -> RawAnswer:
        """The next response on this connection; status 0 where the server just closed it."""
        status_line = self._stream.readline().decode("latin-1")
        if not status_line:
            return RawAnswer(0, {}, b"")
        headers: dict[str, str] = {}
        while (line := self._stream.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        chunked = headers.get("transfer-encoding") == "chunked"
        content = (
            self._read_chunks() if chunked else self._stream.read(int(headers.get("content-length", "0")))
        )
        return RawAnswer(int(status_line.split()[1]), headers, content)

    def _read_chunks(self) -> bytes:
        content = b""
        while length := int(self._stream.readline(), 16):
            content += self._stream.read(length)
            self._stream.readline()
        self._stream.readline()
        return content

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


class RawAnswer:
    def __init__(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.status = status
        self.headers = headers
        self.content = content

    def error_code(self) -> str:
        return str(json.loads(self.content)["error"]["code"])


@contextmanager
def raw_connection(port: int) -> Iterator[RawConnection]:
    connection = RawConnection(port)
    try:
        yield connection
    finally:
        connection.close()
