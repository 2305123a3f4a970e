"""The server under load with its PostgreSQL and Redis, and what each of them uses of the machine."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("DATAFOLD_TEST_STACK", "postgres")
os.environ.setdefault("DATAFOLD_TEST_DURABLE", "1")  # writes are on disk before they are acknowledged

import psutil

from benchmarks.load.mix import Planned, Signing, Site
from benchmarks.load.openloop import OpenLoop
from tests.support.server import DataFoldServer
from tests.support.services import Services, running_services, stop_services
from tests.support.stack import run_folder

CLIENTS = 50
SCHEMAS = 100
# Everything comes from one address and fifty clients here, and limits are another benchmark's matter.
UNLIMITED = {
    "DATAFOLD_REGISTRATION_POLICY": "open",
    "DATAFOLD_RATE_LIMIT_PER_MINUTE": "100000000",
    "DATAFOLD_REGISTRATION_RATE": "100000000/minute",
    "DATAFOLD_ANONYMOUS_RATE": "100000000/minute",
    "DATAFOLD_FAILURE_RATE": "100000000/minute",
}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass
class Stack:
    """A running server with clients and schemas in it."""

    server: DataFoldServer
    services: Services
    site: Site

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.server.port)

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Those that are alive, by part."""
        roots = {
            "web": self.server.arbiter.pid,
            "PostgreSQL": self.services.postgres_pid,
            "Redis": self.services.redis_pid,
            "load generator": os.getpid(),
        }
        found: dict[str, list[psutil.Process]] = {}
        for name, pid in roots.items():
            root = psutil.Process(pid)
            found[name] = [root, *root.children(recursive=True)]
        ours = {process.pid for name in list(roots)[:3] for process in found[name]}
        found["load generator"] = [each for each in found["load generator"] if each.pid not in ours]
        return found


@contextmanager
def services() -> Iterator[Services]:
    """PostgreSQL and Redis for everything that is started inside; they end with it, also when it is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield running_services(run_folder())
    finally:
        stop_services(run_folder())


@contextmanager
def stack(name: str, parts: Services, **variables: str) -> Iterator[Stack]:
    """A server of its own with a database of its own."""
    settings: dict[str, Any] = UNLIMITED | variables
    server = DataFoldServer(f"load_{name}", **settings)
    try:
        site = populate(server)
        yield Stack(server, parts, site)
    finally:
        server.stop()


def populate(server: DataFoldServer) -> Site:
    """Register clients and write schemas, through the front door."""
    import nacl.signing

    seeds = {f"client-{number}": secrets.token_bytes(32) for number in range(CLIENTS)}
    empty = Site(f"127.0.0.1:{server.port}", seeds, [])
    signing = Signing(empty)
    registrations = [
        signing.registration_of(client_id, nacl.signing.SigningKey(seed)) for client_id, seed in seeds.items()
    ]
    expect(server, registrations)
    names = [f"read-{number}" for number in range(SCHEMAS)]
    expect(server, [signing.write(name) for name in names])
    site = Site(empty.authority, seeds, names)
    warm = Signing(site)
    expect(server, [warm.read() for _ in range(400)])
    return site


def expect(server: DataFoldServer, planned: list[Planned]) -> None:
    """Send them all; every answer must be the planned one."""
    outcome = OpenLoop(("127.0.0.1", server.port), connections=8).flat_out(planned, 120)
    if outcome.unexpected or outcome.answered != len(planned):
        raise SystemExit(
            f"The server is not ready: {outcome.unexpected}, {outcome.answered} of {len(planned)}."
        )


class Usage:
    """Processor time by part between two moments."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._at, self._before = time.perf_counter(), self._seconds()

    def cores(self) -> dict[str, float]:
        """Cores that each part has used since, on average."""
        elapsed = time.perf_counter() - self._at
        after = self._seconds()
        return {name: (after[name] - self._before.get(name, 0.0)) / elapsed for name in after}

    def _seconds(self) -> dict[str, float]:
        return {
            name: sum(_seconds(process) for process in processes)
            for name, processes in self._stack.processes().items()
        }


def _seconds(process: psutil.Process) -> float:
    try:
        times: Any = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    # Ended and reaped children count for their parent, so that a worker that is replaced is not lost.
    return float(times.user + times.system + times.children_user + times.children_system)
