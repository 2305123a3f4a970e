"""The load benchmark charges a server for everything that it kept waiting."""

from __future__ import annotations

import socket
import threading

import pytest

from benchmarks.load.mix import Planned
from benchmarks.load.openloop import OpenLoop, poisson

pytestmark = pytest.mark.one_stack

STALL_SECONDS = 0.3
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
READ = Planned("read", b"GET / HTTP/1.1\r\n\r\n", 200)


def stalls_once(listener: socket.socket) -> None:
    """Answers on one connection, and thinks long about the first request."""
    connection, _ = listener.accept()
    with connection:
        stall = STALL_SECONDS
        while connection.recv(len(READ.data)):
            threading.Event().wait(stall)
            stall = 0
            connection.sendall(ANSWER)


def test_latency_counts_from_the_time_at_which_the_request_was_due() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=stalls_once, args=(listener,))
        server.start()
        times = [0.0, 0.01, 0.02, 0.03]
        outcome = OpenLoop(listener.getsockname(), connections=1).run([READ] * 4, times, 100)
        server.join()
    assert outcome.answered == 4
    assert not outcome.unexpected
    # The last three were answered at once when they were sent; they were due long before that.
    assert min(outcome.latencies["read"]) >= STALL_SECONDS - times[-1]


def test_what_the_server_does_not_answer_as_planned_shows() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=stalls_once, args=(listener,))
        server.start()
        outcome = OpenLoop(listener.getsockname(), connections=1).run([READ._replace(status=201)], [0.0], 1)
        server.join()
    assert outcome.unexpected == {"read: 200": 1}


def test_arrivals_are_as_many_as_the_rate_says_and_the_same_for_the_same_seed() -> None:
    times = poisson(1000, 10, seed=1)
    assert 9_500 < len(times) < 10_500
    assert times == sorted(times)
    assert times == poisson(1000, 10, seed=1) != poisson(1000, 10, seed=2)
