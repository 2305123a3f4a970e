"""Whole requests at a rate, on connections that each wait for their answer."""

from __future__ import annotations

import itertools
import select
import socket
import time
from collections import Counter, deque
from multiprocessing.synchronize import Event
from typing import Any

from benchmarks.attacks.swarm import SOURCE

CONNECTIONS = 128
DEBT_SECONDS = 0.5  # of requests that wait for a connection; the rest is not sent


class Volley:
    """
    Args:
        requests: sent in turn, again and again. rate: of them, a second.
    """

    def __init__(self, requests: list[bytes], rate: float, address: tuple[str, int]) -> None:
        self._requests, self._rate, self._address = itertools.cycle(requests), rate, address
        self._idle: deque[socket.socket] = deque()
        self._busy: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self.seen: Counter[str] = Counter()
        self.sent = self.behind = 0
        self.seconds = 0.0

    def run(self, ready: Event, over: Event) -> None:
        self._idle.extend(self._connect() for _ in range(CONNECTIONS))
        ready.set()
        begun = time.monotonic()
        while not over.is_set():
            self.seconds = time.monotonic() - begun
            debt = int(self.seconds * self._rate) - self.sent - self.behind
            for _ in range(min(debt, len(self._idle))):
                self._send(self._idle.popleft())
                debt -= 1
            if debt > self._rate * DEBT_SECONDS:
                self.behind += debt
            self._answers(0.002)
        for sock in [*self._idle, *self._busy.values()]:
            sock.close()

    def facts(self) -> dict[str, Any]:
        """For the report: how many a minute were sent, what came back how often, and what was not sent."""
        minutes = max(self.seconds, 0.001) / 60
        return {"per_minute": round(self.sent / minutes), "behind": self.behind, "seen": dict(self.seen)}

    def _connect(self) -> socket.socket:
        return socket.create_connection(self._address, timeout=20, source_address=(SOURCE, 0))

    def _send(self, sock: socket.socket) -> None:
        self.sent += 1
        try:
            sock.sendall(next(self._requests))
        except OSError:
            self._again(sock)
            return
        self._busy[sock.fileno()] = sock
        self._poll.register(sock, select.EPOLLIN)

    def _answers(self, seconds: float) -> None:
        for number, _ in self._poll.poll(seconds):
            sock = self._busy.pop(number)
            self._poll.unregister(sock)
            try:
                data = sock.recv(65536)
            except OSError:
                data = b""
            if data:  # an answer of this size comes in one piece
                self.seen[data[9:12].decode("latin-1")] += 1
                self._idle.append(sock)
            else:
                self._again(sock)

    def _again(self, sock: socket.socket) -> None:
        self.seen["closed"] += 1
        sock.close()
        self._idle.append(self._connect())
