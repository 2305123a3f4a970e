"""Slow, silent and greedy clients take no thread: others are served meanwhile."""

from __future__ import annotations

import json
import select
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller, RawConnection, assert_granted, raw_connection

pytestmark = pytest.mark.one_stack

HOST = "Host: 127.0.0.1\r\n"
LIVE = f"GET /health/live HTTP/1.1\r\n{HOST}\r\n"
POST = f"POST /api/v1/crypto/keys/register HTTP/1.1\r\n{HOST}Content-Type: application/json\r\n"
UPLOAD = "/api/v1/schemas/events/versions/1/validate-file"
BUNDLE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


def connect(server: DataFoldServer, data: str = "", received: int = 0) -> socket.socket:
    sock = socket.socket()
    if received:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", server.port))
    sock.sendall(data.encode())
    return sock


@contextmanager
def clients(
    server: DataFoldServer, count: int, data: str, received: int = 0
) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(connect(server, data, received)) for _ in range(count)]


def answered(sockets: list[socket.socket]) -> int:
    return len(select.select(sockets, [], [], 0)[0])


def live(server: DataFoldServer) -> int:
    return httpx2.get(f"{server.base_url}/health/live", trust_env=False, timeout=20).status_code


@pytest.mark.parametrize(
    "begun",
    [
        "",
        "GET /health/live HT",
        f"GET /health/live HTTP/1.1\r\n{HOST}X-A: ",
        f"{POST}Content-Length: 5000\r\n\r\n",
        f'{POST}Content-Length: 5000\r\n\r\n{{"client_id": ',
    ],
    ids=["silent", "in the line", "in the fields", "before the body", "in the body"],
)
def test_a_hundred_that_do_not_go_on_take_nothing_from_others(
    datafold_server: DataFoldServer, begun: str
) -> None:
    with clients(datafold_server, 100, begun) as waiting:
        assert [live(datafold_server) for _ in range(5)] == [200] * 5
        assert answered(waiting) == 0


def test_readers_that_do_not_read_take_nothing_from_others(datafold_server: DataFoldServer) -> None:
    request = f"GET {BUNDLE} HTTP/1.1\r\n{HOST}\r\n"
    with clients(datafold_server, 20, request * 8, received=4096) as readers:
        assert [live(datafold_server) for _ in range(5)] == [200] * 5
        size = int(httpx2.head(datafold_server.base_url + BUNDLE, trust_env=False).headers["Content-Length"])
        received = 0
        while received < 8 * size:  # and whoever reads slowly gets all of it
            piece = len(readers[0].recv(65536))
            assert piece
            received += piece


def test_a_request_byte_by_byte_is_one_request(datafold_server: DataFoldServer) -> None:
    body = json.dumps({"public_key": "no"})
    with raw_connection(datafold_server.port) as connection:
        for byte in f"{POST}Content-Length: {len(body)}\r\n\r\n{body}":
            connection.send(byte)
        answer = connection.read_answer()
    assert answer.status == 422
    assert answer.error_code() == "INVALID_PUBLIC_KEY"


def test_requests_that_come_at_once_are_answered_in_turn(datafold_server: DataFoldServer) -> None:
    missing = f"GET /api/v1/nothing HTTP/1.1\r\n{HOST}\r\n"
    with raw_connection(datafold_server.port) as connection:
        connection.send((LIVE + missing) * 20)
        assert [connection.read_answer().status for _ in range(40)] == [200, 404] * 20


def test_who_closes_its_side_still_gets_the_answer(datafold_server: DataFoldServer) -> None:
    with connect(datafold_server, LIVE) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: sock.recv(65536), b"")).startswith(b"HTTP/1.1 200 ")


# --- 100-continue ---------------------------------------------------------------------------------------------


def test_a_body_is_asked_for(datafold_server: DataFoldServer) -> None:
    body = json.dumps({"public_key": "no"})
    with raw_connection(datafold_server.port) as connection:
        connection.send(f"{POST}Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n")
        assert connection.read_answer().status == 100
        connection.send(body)
        assert connection.read_answer().status == 422


def test_a_body_that_would_be_refused_is_not_asked_for(datafold_server: DataFoldServer) -> None:
    with raw_connection(datafold_server.port) as connection:
        connection.send(f"{POST}Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n")
        answer = connection.read_answer()
    assert answer.status == 413
    assert answer.error_code() == "BODY_TOO_LARGE"


# --- Time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [
        "GET /health/live HT",
        f"GET /health/live HTTP/1.1\r\n{HOST}X-A: ",
        f"{POST}Content-Length: 9\r\n\r\n{{",
    ],
    ids=["in the line", "in the fields", "in the body"],
)
def test_who_takes_too_long_is_told_so(impatient: DataFoldServer, begun: str) -> None:
    with raw_connection(impatient.port) as connection:
        connection.send(begun)
        assert_timed_out(connection)


def test_a_connection_is_kept_for_so_long_and_closed_without_a_word(impatient: DataFoldServer) -> None:
    with clients(impatient, 1, "") as [silent], clients(impatient, 1, LIVE) as [asked]:
        assert asked.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert silent.recv(1) == asked.recv(1) == b""


@pytest.mark.parametrize(
    "last",
    [
        f"GET /health/live HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n",
        f"GET /health/live HTTP/1.0\r\n{HOST}\r\n",
    ],
    ids=["close", "HTTP/1.0"],
)
def test_nothing_is_answered_after_the_last_request(datafold_server: DataFoldServer, last: str) -> None:
    with connect(datafold_server, LIVE + last + LIVE) as sock:
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    assert data.count(b" 200 OK\r\n") == 2
    assert data.count(b"\r\nConnection: close\r\n") == 1


def test_a_body_that_trickles_ends_with_the_hard_limit(impatient: DataFoldServer) -> None:
    """Every pause is short enough; all of them together are not."""
    with raw_connection(impatient.port) as connection:
        connection.send(f"{POST}Content-Length: 500\r\n\r\n")
        deadline = time.monotonic() + 20
        while not connection.readable(0.2) and time.monotonic() < deadline:
            connection.send(" ")
        assert_timed_out(connection)


def assert_timed_out(connection: RawConnection) -> None:
    answer = connection.read_answer()
    assert answer.status == 408
    assert answer.error_code() == "REQUEST_TIMEOUT"
    assert answer.headers["connection"] == "close"


def test_work_that_overruns_the_limit_is_given_up_and_the_server_goes_on(impatient: DataFoldServer) -> None:
    """A database that hangs: the callers hear of it, and the worker, whose threads all hang, is replaced."""
    body = json.dumps({"client_id": "overdue", "public_key": Signer().public_hex})
    request = f"{POST}Content-Length: {len(body)}\r\n\r\n{body}"
    with nobody_can_write(impatient), clients(impatient, 4, request) as hanging:
        for sock in hanging:
            data = b"".join(iter(lambda sock=sock: sock.recv(65536), b""))  # type: ignore[misc]
            assert data.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1\r\n" in data
            assert json.loads(data.partition(b"\r\n\r\n")[2])["error"]["code"] == "PROCESSING_TIMEOUT"
        assert live(impatient) == 200
    assert httpx2.post(
        f"{impatient.base_url}/api/v1/crypto/keys/register",
        json={"client_id": "after", "public_key": Signer().public_hex},
        trust_env=False,
        timeout=20,
    ).is_success


def test_while_all_threads_hang_health_answers_and_memory_is_bounded(impatient: DataFoldServer) -> None:
    """What has arrived and waits for a thread takes memory, too: over the limit it is answered 503, not done."""
    body = json.dumps({"client_id": "weighty", "public_key": Signer().public_hex})
    bodies = [body.ljust(1024 * 1024)] * 2 + ["x" * 1024 * 1024] * 68
    requests = [f"{POST}Content-Length: {len(body)}\r\n\r\n{body}" for body in bodies]
    with ExitStack() as stack:
        with nobody_can_write(impatient):
            waiting = [stack.enter_context(connect(impatient, request)) for request in requests]
            assert select.select(waiting, [], [], 10)[0]
            for path in ("/health/live", "/health/ready", "/metrics"):
                url = impatient.base_url + path
                assert httpx2.get(url, trust_env=False, timeout=5).status_code == 200
        outcomes = Counter(outcome(sock) for sock in waiting)
    assert outcomes["200"] == 1
    assert outcomes["400 MALFORMED_JSON"] > 20
    assert outcomes["503 SERVICE_UNAVAILABLE"] > 5


def outcome(sock: socket.socket) -> str:
    """Status and error code of the answer that waits there; "reset" for a body that came too slowly to be heard out."""
    answer = HTTPResponse(sock)
    try:
        answer.begin()
    except ConnectionError:
        return "reset"
    error = json.loads(answer.read())["error"]
    return f"{answer.status} {error['code'] if error else ''}".strip()


def test_slow_uploads_that_are_given_up_do_not_cost_the_worker(impatient: DataFoldServer) -> None:
    """Their threads end by themselves; only one that hangs in the application is lost."""
    signer, caller = Signer("uploads-slowly"), Caller(impatient.base_url)
    assert_granted(caller.register(signer))
    impatient.manage("approve_key", signer.key_id)
    schema = {"name": "events", "fields": [{"name": "id", "type": "string"}]}
    assert caller.signed(signer, "POST", "/api/v1/schemas", schema).status_code == 201
    body, media = b" " * 2 * 1024 * 1024, {"Content-Type": "text/csv"}
    workers = impatient.arbiter.children()
    with ExitStack() as stack:
        uploads = [stack.enter_context(raw_connection(impatient.port)) for _ in range(2)]
        for connection in uploads:
            signed = signer.sign("POST", impatient.base_url + UPLOAD, content=body, headers=media)
            fields = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
            fields += f"Host: 127.0.0.1:{impatient.port}\r\nContent-Length: {len(body)}\r\n"
            connection.send(f"POST {UPLOAD} HTTP/1.1\r\n{fields}\r\n")
        while not all(connection.readable(0.1) for connection in uploads):
            for connection in uploads:
                connection.send(" ")
        assert [connection.read_answer().error_code() for connection in uploads] == ["REQUEST_TIMEOUT"] * 2
    assert [live(impatient) for _ in range(3)] == [200] * 3
    assert impatient.arbiter.children() == workers
    caller.close()


@contextmanager
def nobody_can_write(server: DataFoldServer) -> Iterator[None]:
    url = server.environment["DATABASE_URL"]
    if url.startswith("sqlite:"):
        database: Any = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)
        database.execute("BEGIN IMMEDIATE")
    else:
        database = psycopg.connect(url)
        database.execute("LOCK TABLE accounts_client IN ACCESS EXCLUSIVE MODE")
    yield
    database.rollback()
    database.close()


# --- Numbers ------------------------------------------------------------------------------------------------------


def test_idle_connections_over_the_limit_make_room(start_server: Callable[..., DataFoldServer]) -> None:
    server = start_server("crowded", WORKERS="1", WORKER_CONNECTIONS="50")
    caller = Caller(server.base_url)  # stays connected meanwhile, and is asked again
    with clients(server, 200, ""):
        assert [live(server) for _ in range(5)] == [200] * 5
        assert caller.http.get("/health/live").status_code == 200
    caller.close()
