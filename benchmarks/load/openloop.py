"""Sends requests at times that were fixed beforehand, whatever the server does meanwhile."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import ssl
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from benchmarks.load.mix import Planned

BACKLOG_SECONDS = 5.0  # of arrivals that wait for a connection; with more the stage is over: it is lost
DRAIN_SECONDS = 15.0
ANSWER_SECONDS = 30.0


@dataclass
class Outcome:
    """
    Attributes:
        latencies: seconds from the intended time to the answer's last byte, by kind.
        unexpected: answers with another status than planned, and what came instead of an answer.
        lost: requests that were not sent because the server was too far behind.
    """

    offered: float
    seconds: float = 0.0
    sent: int = 0
    lost: int = 0
    latencies: dict[str, array[float]] = field(default_factory=dict)
    unexpected: Counter[str] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        return sum(len(each) for each in self.latencies.values())

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def percentiles(self, kind: str = "") -> dict[str, float]:
        """p50, p90, p99, p99.9 and the maximum in milliseconds; of all kinds where none is named."""
        values = sorted(
            value for name, each in self.latencies.items() if kind in ("", name) for value in each
        )
        if not values:
            return {}
        places = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
        found = {
            name: values[min(len(values) - 1, int(len(values) * place))] for name, place in places.items()
        }
        return {name: value * 1000 for name, value in (found | {"max": values[-1]}).items()}


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Arrival times from 0 to `seconds`: independent callers, `rate` a second on average."""
    chance, times, now = random.Random(seed), [], 0.0
    while (now := now + chance.expovariate(rate)) < seconds:
        times.append(now)
    return times


class _Caller:
    """One connection with at most one request under way."""

    def __init__(self, address: tuple[str, int], trust: ssl.SSLContext | None, source: str) -> None:
        self._address, self._trust, self._source = address, trust, source
        self.sock: socket.socket | None = None
        self.intended = 0.0
        self.planned: Planned | None = None
        self._data = bytearray()

    def send(self, planned: Planned, intended: float) -> None:
        self.planned, self.intended = planned, intended
        if self.sock is None:
            self._connect()
        assert self.sock is not None
        self.sock.sendall(planned.data)

    def receive(self) -> int | None:
        """The status, once the answer is whole. Raises OSError where it will never be."""
        assert self.sock is not None
        while True:
            try:
                piece = self.sock.recv(262_144)
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            if not piece:
                raise ConnectionError("closed without an answer" if not self._data else "closed in an answer")
            self._data += piece
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                continue
            head = bytes(self._data[:end]).lower()
            at = head.find(b"\r\ncontent-length:")
            length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                continue
            status = int(head[9:12])
            del self._data[: end + 4 + length]
            if b"\r\nconnection: close" in head:
                self.close()
            self.planned = None
            return status

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
        self.sock, self.planned = None, None
        self._data.clear()

    def _connect(self) -> None:
        sock = socket.create_connection(
            self._address, timeout=10, source_address=(self._source, 0) if self._source else None
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._trust is not None:
            sock = self._trust.wrap_socket(sock, server_hostname="localhost")
        sock.settimeout(10)
        self.sock = sock


class OpenLoop:
    """
    Args:
        connections: kept alive; a request that finds all of them busy waits, and its latency counts on.
        trust: for TLS. source: the address to come from.
        fresh: a new connection for each request.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        connections: int = 64,
        trust: ssl.SSLContext | None = None,
        source: str = "",
        fresh: bool = False,
    ) -> None:
        self._idle = deque(_Caller(address, trust, source) for _ in range(connections))
        self._busy: dict[int, _Caller] = {}
        self._fresh = fresh

    def run(self, planned: Iterable[Planned], times: list[float], offered: float) -> Outcome:
        """Send the requests at `times` (seconds from now, ascending)."""
        outcome, waiting = Outcome(offered), deque[tuple[Planned, float]]()
        requests, due = iter(planned), self._due(times)
        begun = time.perf_counter()
        upcoming = next(due, None)
        while upcoming is not None or waiting or self._busy:
            now = time.perf_counter() - begun
            while upcoming is not None and upcoming <= now:
                waiting.append((next(requests), upcoming))
                upcoming = next(due, None)
            if (waiting and now - waiting[0][1] > BACKLOG_SECONDS) or (
                upcoming is None and now > (times[-1] if times else 0) + DRAIN_SECONDS
            ):
                outcome.lost = len(waiting) + sum(1 for _ in due) + len(self._busy)
                break
            while waiting and self._idle:
                self._send(*waiting.popleft(), outcome)
            pause = 0.05 if upcoming is None else max(0.0, upcoming - (time.perf_counter() - begun))
            self._answers(min(pause, 0.05), begun, outcome)
        outcome.seconds = time.perf_counter() - begun
        self.close()
        return outcome

    def flat_out(self, planned: list[Planned], seconds: float) -> Outcome:
        """As fast as the connections get answers: what the server can do, as a first guess."""
        outcome, requests = Outcome(0.0), iter(planned)
        begun = time.perf_counter()
        while (now := time.perf_counter() - begun) < seconds:
            while self._idle and (request := next(requests, None)) is not None:
                self._send(request, now, outcome)
            if not self._busy:
                break
            self._answers(0.05, begun, outcome)
        outcome.seconds = time.perf_counter() - begun
        self.close()
        return outcome

    @staticmethod
    def _due(times: list[float]) -> Iterator[float]:
        yield from times

    def _send(self, planned: Planned, intended: float, outcome: Outcome) -> None:
        caller = self._idle.popleft()
        try:
            caller.send(planned, intended)
        except OSError as error:
            self._failed(caller, error, outcome)
        else:
            assert caller.sock is not None
            self._busy[caller.sock.fileno()] = caller
            outcome.sent += 1

    def _answers(self, seconds: float, begun: float, outcome: Outcome) -> None:
        readable = select.select(list(self._busy), [], [], seconds)[0]
        for number in readable:
            caller = self._busy[number]
            assert caller.planned is not None
            kind, expected = caller.planned.kind, caller.planned.status
            try:
                assert caller.sock is not None
                caller.sock.setblocking(False)
                status = caller.receive()
                if caller.sock is not None:
                    caller.sock.settimeout(10)
            except OSError as error:
                del self._busy[number]
                self._failed(caller, error, outcome)
                continue
            if status is None:
                continue
            del self._busy[number]
            now = time.perf_counter() - begun
            outcome.latencies.setdefault(kind, array("d")).append(now - caller.intended)
            if status != expected:
                outcome.unexpected[f"{kind}: {status}"] += 1
            if self._fresh:
                caller.close()
            self._idle.append(caller)

    def _failed(self, caller: _Caller, error: OSError, outcome: Outcome) -> None:
        outcome.unexpected[f"{type(error).__name__}: {error}"[:60]] += 1
        caller.close()
        self._idle.append(caller)

    def close(self) -> None:
        for caller in [*self._idle, *self._busy.values()]:
            with contextlib.suppress(OSError):
                caller.close()
        self._idle.extend(self._busy.values())
        self._busy.clear()
