"""A Redis server of a test's own, to be killed, restarted and cut off."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import redis

from tests.support.services import REDIS_SERVER, free_port


class RedisServer:
    """A real redis-server.

    Args:
        folder: where it keeps its append-only file.
        keeps: whether it keeps its data over a restart (all but the last second).
    """

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._keeps = keeps
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(REDIS_SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                *("--appendonly", "yes" if self._keeps else "no", "--appendfsync", "everysec"),
                *("--dir", str(self._folder), "--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while not self.answers():
            assert self._process.poll() is None, "redis-server did not start"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def kill(self) -> None:
        """kill -9"""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        if self._process.poll() is None:
            self.kill()


class Cable:
    """A TCP connection to a Redis server that can be pulled out and plugged in again."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._plugged = True
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        self._plugged = False
        for each in list(self._open):
            _shut(each)

    def plug_in(self) -> None:
        self._plugged = True

    def lead_to(self, port: int) -> None:
        """Connections from now on end at another server, as where a name or an address has moved."""
        self._target = port

    def close(self) -> None:
        self.pull()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._plugged:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._open |= {near, far}
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            self._open.discard(each)
            _shut(each)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


def spend_arguments(**changes: Any) -> dict[str, Any]:
    """A fresh signature by a client of the standard profile, now."""
    now = time.time()
    return {
        "client_id": "client",
        "epoch": 1,
        "key_id": "00000000-0000-0000-0000-000000000001",
        "nonce": os.urandom(12).hex(),
        "created": int(now),
        "clock_skew": 30,
        "remember_until": now + 720,
        "rate_limit": 1_000_000,
        "now": now,
        **changes,
    }
