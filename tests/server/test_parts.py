"""The worker's parts by themselves: turns, heads, bodies, the board."""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import MagicMock

import pytest
from gunicorn.config import Config

from project.server.board import SILENT_SECONDS, Board
from project.server.connection import StreamedBody
from project.server.fair_queue import Crew, FairQueue
from project.server.head import MAX_HEAD, find_end, parse_head
from project.server.worker import Worker


def test_callers_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(4):
        queue.put("greedy", f"greedy-{number}")
    queue.put("modest", "modest-0")
    queue.put("other", "other-0")
    queue.put("modest", "modest-1")
    order = [queue.get() for _ in range(7)]
    assert order == ["greedy-0", "modest-0", "other-0", "greedy-1", "modest-1", "greedy-2", "greedy-3"]


def test_nothing_comes_out_of_a_closed_queue() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.put("a", "waits")
    queue.close()
    assert queue.get() is None


def test_a_crew_does_everything_with_so_many_threads_and_survives_what_is_raised() -> None:
    done: list[int] = []
    names: set[str] = set()
    over = threading.Event()

    def work(number: int) -> None:
        names.add(threading.current_thread().name)
        done.append(number)
        if len(done) == 50:
            over.set()
        if number % 7 == 0:
            raise ValueError(number)

    crew = Crew("test", 3, work)
    for number in range(50):
        crew.submit(str(number % 2), number)
    assert over.wait(10)
    crew.shutdown()
    assert sorted(done) == list(range(50))
    assert names <= {"test-1", "test-2", "test-3"}


def test_a_request_that_breaks_the_worker_is_logged_without_its_query() -> None:
    connection, worker = MagicMock(), Worker.__new__(Worker)
    connection.request, _ = parse_head(
        Config(), b"GET /a%20b?token=s3cret HTTP/1.1\r\n\r\n", ("127.0.0.1", 1)
    )
    worker.log, worker.refusals, worker.method_queue = MagicMock(), MagicMock(), MagicMock()
    worker.handle(connection)  # it has not even a configuration
    worker.log.exception.assert_called_once_with("Error handling request %s", "/a%20b")


@pytest.mark.parametrize(
    ("data", "end", "hopeless"),
    [
        (b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody", 24, False),
        (b"\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 26, False),
        (b"GET / HTTP/1.1\r\nA: b\r\n", -1, False),
        (b"GET / HTTP/1.1\r", -1, False),
        (b"GET / HTTP/1.1\nA: b\n\n", -1, True),
        (b"GET /" + b"a" * 100, -1, False),
        (b"GET /" + b"a" * 8200, -1, True),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEAD // 6), -1, True),
    ],
)
def test_the_end_of_a_head(data: bytes, end: int, hopeless: bool) -> None:
    assert find_end(bytearray(data), 0, 8190) == (end, hopeless)
    scanned, found = 0, (-1, False)
    for length in range(1, min(len(data), 9000) + 1):  # and however it comes in
        found = find_end(bytearray(data[:length]), scanned, 8190)
        if found != (-1, False):
            break
        scanned = length
    if len(data) < 9000:
        assert found == (end, hopeless)


def test_a_large_body_is_handed_out_in_pieces_whatever_is_asked_for() -> None:
    """gunicorn asks for all that is left of it, and the network may have much already."""

    class Network:
        inbox = bytearray(1024 * 1024)
        moved = 0

    connection: Any = Network()
    body = StreamedBody(connection, 1024 * 1024, pause=1, go_ahead=b"")
    pieces = list(iter(lambda: body.read(10**9), b""))
    assert [len(piece) for piece in pieces] == [256 * 1024] * 4
    assert not body.incomplete


def test_the_board_tells_of_others_that_are_heard_of() -> None:
    board = Board()
    assert board.lightest_other(1, 100.0) is None
    board.tell(1, 7, 100.0)
    board.tell(2, 5, 100.0)
    board.tell(3, 9, 100.0)
    assert board.lightest_other(1, 100.0) == 5
    assert board.lightest_other(2, 100.0) == 7
    board.leave(2)
    assert board.lightest_other(1, 100.0) == 9
    assert board.lightest_other(1, 100.0 + SILENT_SECONDS) is None
