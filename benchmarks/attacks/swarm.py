"""Connections that do something annoying: all of those of one attack, in a process of their own."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any

SOURCE = "127.0.0.66"  # the attacker's address; honest clients have another
OPENED_AT_ONCE = 200
DRIP_SECONDS = 1.0
PIECE = 64 * 1024
READY_SECONDS = 15.0


@dataclass(frozen=True)
class Plan:
    """What each connection does.

    Attributes:
        connections: that are kept open; one that the server closes is opened again.
        opening: bytes sent first. drip: bytes sent each second after that.
        flood: sent again and again after that, as fast as `bytes_per_second` (all together) allows.
        flood_bytes: of one connection; 0 for no end.
        reads: what the server says is read; else it is left where it is.
        buffer: bytes that the system receives for one connection; 0 for its own idea.
    """

    connections: int
    opening: bytes = b""
    drip: bytes = b""
    flood: bytes = b""
    flood_bytes: int = 0
    bytes_per_second: int = 200_000_000
    reads: bool = True
    buffer: int = 0


class _Link:
    def __init__(self, sock: socket.socket, opening: bytes) -> None:
        self.sock, self.pending = sock, opening
        self.connected = self.answered = False
        self.flooded = 0


class Swarm:
    def __init__(self, plan: Plan, address: tuple[str, int]) -> None:
        self._plan, self._address = plan, address
        self._links: dict[int, _Link] = {}
        self._poll = select.epoll()
        self._flood = plan.flood * max(1, PIECE // max(1, len(plan.flood)))
        self._budget = 0.0
        self.seen: Counter[str] = Counter()
        self.sent = 0
        self.most_open = 0

    def run(self, ready: Event, over: Event) -> None:
        begun = last = dripped = time.monotonic()
        while not over.is_set():
            now = time.monotonic()
            self._budget = min(self._plan.bytes_per_second / 10, self._budget + self._rate(now - last))
            last = now
            self._open_missing()
            self._turn(0.02)
            if self._plan.drip and now - dripped >= DRIP_SECONDS:
                dripped = now
                self._drip()
            self.most_open = max(self.most_open, self._open())
            if self.most_open >= 0.95 * self._plan.connections or now - begun > READY_SECONDS:
                ready.set()
        for link in list(self._links.values()):
            self._close(link)

    def facts(self) -> dict[str, Any]:
        """For the report: the most connections at one time, bytes sent, what came back how often."""
        return {"open": self.most_open, "bytes": self.sent, "seen": dict(self.seen)}

    def _rate(self, seconds: float) -> float:
        return self._plan.bytes_per_second * seconds

    def _open(self) -> int:
        return sum(link.connected for link in self._links.values())

    def _open_missing(self) -> None:
        for _ in range(min(OPENED_AT_ONCE, self._plan.connections - len(self._links))):
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports by destination
            if self._plan.buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._plan.buffer)
            sock.bind((SOURCE, 0))
            if sock.connect_ex(self._address) not in (0, errno.EINPROGRESS):
                sock.close()
                self.seen["not connected"] += 1
                return
            self._links[sock.fileno()] = _Link(sock, self._plan.opening)
            self._poll.register(sock, select.EPOLLIN | select.EPOLLOUT)

    def _turn(self, seconds: float) -> None:
        for number, mask in self._poll.poll(seconds, 4096):
            link = self._links[number]
            try:
                if mask & select.EPOLLOUT:
                    link.connected = True
                    self._send(link)
                if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                    self._receive(link)
            except BlockingIOError:
                pass
            except OSError:
                self.seen["reset" if link.connected else "not connected"] += 1
                self._close(link)
        if self._budget <= 0:
            time.sleep(0.005)  # or waiting for the budget would take a whole core

    def _send(self, link: _Link) -> None:
        if link.pending:
            count = link.sock.send(link.pending)
            link.pending = link.pending[count:]
            self.sent += count
            return
        if not self._flood or (self._plan.flood_bytes and link.flooded >= self._plan.flood_bytes):
            self._watch(link, select.EPOLLIN)
        elif self._budget > 0:
            count = link.sock.send(self._flood)
            link.flooded += count
            self.sent += count
            self._budget -= count

    def _watch(self, link: _Link, interest: int) -> None:
        if not self._plan.reads:
            interest &= ~select.EPOLLIN
        self._poll.modify(link.sock, interest)

    def _receive(self, link: _Link) -> None:
        data = link.sock.recv(PIECE)
        if not data:
            if not link.answered:
                self.seen["closed"] += 1
            self._close(link)
        elif not link.answered:
            link.answered = True
            self.seen[data[9:12].decode("latin-1")] += 1

    def _drip(self) -> None:
        for link in list(self._links.values()):
            if not link.connected:
                continue
            try:
                self.sent += link.sock.send(self._plan.drip)
            except BlockingIOError:
                continue
            except OSError:
                self.seen["reset"] += 1
                self._close(link)

    def _close(self, link: _Link) -> None:
        del self._links[link.sock.fileno()]
        with contextlib.suppress(OSError):
            self._poll.unregister(link.sock)
        link.sock.close()
