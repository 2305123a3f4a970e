"""Several workers on one port: they share the connections, and a stop or a restart loses no request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support.server import DataFoldServer
from tests.support.services import free_port
from tests.support.stack import PROJECT, stack_environment
from tests.support.wire import RawConnection, raw_connection

pytestmark = pytest.mark.one_stack

LIVE = "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server("processes", WORKERS="3")


def workers(server: DataFoldServer) -> list[psutil.Process]:
    return server.arbiter.children()


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def held(server: DataFoldServer) -> list[int]:
    """Open connections of each worker."""
    return [
        sum(
            connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == server.port
            for connection in worker.net_connections("tcp")
        )
        for worker in workers(server)
    ]


def shares_of(server: DataFoldServer, count: int) -> list[int]:
    """Open so many connections, use each once, and see how many each worker holds."""
    connections = [RawConnection(server.port) for _ in range(count)]
    for connection in connections:
        connection.send(LIVE)
        assert connection.read_answer().status == 200
    shares = held(server)
    for connection in connections:
        connection.close()
    wait_for(lambda: not any(held(server)))
    return shares


# --- Sharing ------------------------------------------------------------------------------------------------------


def test_kept_alive_connections_spread_over_the_workers(server: DataFoldServer) -> None:
    wait_for(lambda: shares_of(server, 3) == [1, 1, 1])  # all have started
    shares = shares_of(server, 30)
    assert sum(shares) == 30
    assert min(shares) >= 6


# --- Stopping -----------------------------------------------------------------------------------------------------


class Callers:
    """Threads that ask without pause, some on kept-alive connections and some on new ones."""

    def __init__(self, server: DataFoldServer) -> None:
        self.url = f"{server.base_url}/health/live"
        self.outcomes: Counter[str] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(6)]

    @contextmanager
    def asking(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()

    def _ask(self, keep: bool) -> None:
        http = httpx2.Client(trust_env=False, timeout=20)
        deadline = time.monotonic() + 30
        while not self._over.is_set() and time.monotonic() < deadline:
            if not keep:
                http = httpx2.Client(trust_env=False, timeout=20)
            try:
                self.outcomes[str(http.get(self.url).status_code)] += 1
            except httpx2.ConnectError:
                self.outcomes["not connected"] += 1
                self._over.wait(0.01)
            except httpx2.HTTPError as error:
                self.outcomes[type(error).__name__] += 1
            if not keep:
                http.close()
        http.close()


def test_a_restart_of_the_workers_loses_no_request(server: DataFoldServer) -> None:
    callers = Callers(server)
    with callers.asking():
        wait_for(lambda: callers.outcomes["200"] > 50)
        before = {worker.pid for worker in workers(server)}
        server.arbiter.send_signal(signal.SIGHUP)
        wait_for(lambda: not before & {worker.pid for worker in workers(server)})
        answered = callers.outcomes["200"]
        wait_for(lambda: callers.outcomes["200"] > answered + 50)
    assert list(callers.outcomes) == ["200"]


def test_a_stop_answers_what_was_asked(start_server: Callable[..., DataFoldServer]) -> None:
    """Whoever was connected is answered; whoever comes later is not connected, and may go elsewhere."""
    server = start_server("stopped")
    callers = Callers(server)
    with callers.asking():
        wait_for(lambda: callers.outcomes["200"] > 50)
        server.terminate()
        server.arbiter.wait(timeout=30)
    assert set(callers.outcomes) == {"200", "not connected"}


def test_a_kept_alive_connection_is_told_that_it_is_the_last_request(
    start_server: Callable[..., DataFoldServer],
) -> None:
    server = start_server("last_request", WORKERS="1")
    with raw_connection(server.port) as connection:
        connection.send(LIVE)
        assert connection.read_answer().headers["connection"] == "keep-alive"
        server.terminate()
        wait_for(lambda: not listens(server.port))
        connection.send(LIVE)
        answer = connection.read_answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
    server.arbiter.wait(timeout=30)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_a_stop_that_comes_with_the_fork_is_heard(tmp_path: Path) -> None:
    """It used to be lost until the worker had installed its own handlers: the arbiter then waited in vain."""
    configuration = tmp_path / "early.conf.py"
    configuration.write_text(
        f"__file__ = {str(PROJECT / 'gunicorn.conf.py')!r}\n"
        "exec(open(__file__).read())\n"
        "def post_fork(server, worker):\n"
        "    if worker.age == 1:\n"
        "        import os, signal\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "def worker_exit(server, worker):\n"
        f"    open({str(tmp_path)!r} + f'/ended-{{worker.age}}', 'w').close()\n"
    )
    environment = {**os.environ, **stack_environment("early", migrated=True)}
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", str(configuration), "project.wsgi:application"],
        cwd=PROJECT,
        env={**environment, "PORT": str(free_port()), "WORKERS": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for((tmp_path / "ended-1").exists)
    finally:
        process.terminate()
        process.wait(timeout=30)
