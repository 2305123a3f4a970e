"""What the worker refuses before there is a request for Django: in the envelope, counted and logged."""

from __future__ import annotations

import json
import re
import socket

import httpx2
import pytest

from tests.support.server import DataFoldServer
from tests.support.wire import RawAnswer, raw_connection

pytestmark = pytest.mark.one_stack

HOST = "Host: 127.0.0.1\r\n"
FIELDS = "".join(f"X-{number}: 1\r\n" for number in range(200))

REFUSED = [
    ("a long target", f"GET /some?{'a' * 9000} HTTP/1.1\r\n{HOST}\r\n", 414, "URI_TOO_LONG"),
    ("a line without end", "GET /some?" + "a" * 9000, 414, "URI_TOO_LONG"),
    ("a long field", f"GET /some HTTP/1.1\r\n{HOST}X-B: {'a' * 9000}\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
    ("many fields", f"GET /some HTTP/1.1\r\n{HOST}{FIELDS}\r\n", 431, "HEADERS_TOO_LARGE"),
    (
        "fields without end",
        f"GET /some HTTP/1.1\r\n{HOST}" + f"X-B: {'a' * 8000}\r\n" * 9,
        431,
        "HEADERS_TOO_LARGE",
    ),
    ("no HTTP", "hello\r\n\r\n", 400, "INVALID_REQUEST"),
    ("TLS", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "INVALID_REQUEST"),
    ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "INVALID_REQUEST"),
    ("bare line feeds", "GET /some HTTP/1.1\nHost: a\n\n", 400, "INVALID_REQUEST"),
    ("a field without colon", f"GET /some HTTP/1.1\r\n{HOST}nothing\r\n\r\n", 400, "INVALID_REQUEST"),
    (
        "a field named as a derived component",
        f"GET /some HTTP/1.1\r\n{HOST}@method: PUT\r\n\r\n",
        400,
        "INVALID_REQUEST",
    ),
    ("two hosts", f"GET /some HTTP/1.1\r\n{HOST}{HOST}\r\n", 400, "INVALID_REQUEST"),
    (
        "length and chunks",
        f"POST /some HTTP/1.1\r\n{HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "INVALID_REQUEST",
    ),
    (
        "an expectation",
        f"POST /some HTTP/1.1\r\n{HOST}Expect: wonders\r\nContent-Length: 5\r\n\r\n",
        417,
        "EXPECTATION_FAILED",
    ),
    (
        "a coding",
        f"POST /some HTTP/1.1\r\n{HOST}Transfer-Encoding: shrunk\r\n\r\n",
        501,
        "TRANSFER_CODING_UNKNOWN",
    ),
]


def ask(server: DataFoldServer, data: str) -> RawAnswer:
    with raw_connection(server.port) as connection:
        connection.send(data)
        answer = connection.read_answer()
        assert connection.read_answer().status == 0  # and that was all
    return answer


@pytest.mark.parametrize(
    ("data", "status", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_it_is_refused_in_the_envelope(
    datafold_server: DataFoldServer, data: str, status: int, code: str
) -> None:
    answer = ask(datafold_server, data)
    assert answer.status == status
    body = json.loads(answer.content)
    assert list(body) == ["success", "data", "error", "meta"]
    assert body["error"]["code"] == code
    assert body["error"]["status"] == status
    assert len(body["error"]["message"]) > 20
    assert body["meta"]["path"] == ("/some" if "/some" in data else "")
    assert body["meta"]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.search(r"\d", answer.headers.get("server", ""))


def test_a_request_id_is_taken_over_and_found_in_the_log(datafold_server: DataFoldServer) -> None:
    data = f"GET /some HTTP/1.1\r\n{HOST}X-Request-ID: told-4711\r\nX-B: {'a' * 9000}\r\n\r\n"
    assert ask(datafold_server, data).headers["x-request-id"] == "told-4711"
    lines = [line for line in datafold_server.log.read_text().splitlines() if "told-4711" in line]
    assert [json.loads(line)["error_code"] for line in lines] == ["HEADERS_TOO_LARGE"]
    assert json.loads(lines[0])["address"] == "127.0.0.1"
    forged = f"GET /some HTTP/1.1\r\n{HOST}X-Request-ID: <b>\r\nX-B: {'a' * 9000}\r\n\r\n"
    assert "<" not in ask(datafold_server, forged).headers["x-request-id"]


def test_it_is_counted(datafold_server: DataFoldServer) -> None:
    def counted() -> float:
        text = httpx2.get(f"{datafold_server.base_url}/metrics", trust_env=False).text
        found = re.search(r'^datafold_refusals_total\{code="EXPECTATION_FAILED"\} (\S+)', text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    before = counted()
    ask(datafold_server, f"POST /some HTTP/1.1\r\n{HOST}Expect: wonders\r\n\r\n")
    assert counted() == before + 1


def test_head_gets_no_body(datafold_server: DataFoldServer) -> None:
    with socket.create_connection(("127.0.0.1", datafold_server.port), timeout=15) as sock:
        sock.sendall(f"HEAD /some HTTP/1.1\r\n{HOST}Expect: wonders\r\n\r\n".encode())
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    assert data.startswith(b"HTTP/1.1 417 ")
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("size", [3, 12])
def test_who_still_sends_a_body_reads_why_it_was_refused(datafold_server: DataFoldServer, size: int) -> None:
    """The connection is not reset under the caller's hands: that would lose the answer."""
    length = size * 1024 * 1024
    with socket.create_connection(("127.0.0.1", datafold_server.port), timeout=30) as sock:
        sock.sendall(
            f"POST /api/v1/schemas/x/versions/1/validate-file HTTP/1.1\r\n{HOST}"
            f"Content-Type: text/csv\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        sock.sendall(b"x" * length)
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    assert data.startswith(b"HTTP/1.1 401 ")
    assert json.loads(data.partition(b"\r\n\r\n")[2])["error"]["code"] == "SIGNATURE_MISSING"
