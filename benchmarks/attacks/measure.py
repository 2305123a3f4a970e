"""Honest clients, before an attack and during it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from benchmarks.attacks.catalogue import Attack, allow_files
from benchmarks.load.mix import Presigner
from benchmarks.load.openloop import OpenLoop, Outcome, poisson
from benchmarks.load.soak import megabytes
from benchmarks.load.stack import Stack, say

HONEST = {"read": 0.9, "write": 0.1}
START_SECONDS = 40.0
MEMORY_SECONDS = 0.5


@dataclass
class Trial:
    """One attack.

    Attributes:
        facts: what the attacker counted. memory: megabytes of the web processes before, and at most during it.
    """

    title: str
    before: Outcome
    during: Outcome
    facts: dict[str, Any] = field(default_factory=dict)
    memory: tuple[float, float] = (0.0, 0.0)

    @property
    def failed(self) -> int:
        """Honest requests that were not answered as they should have been."""
        return sum(sum(each.unexpected.values()) + each.lost for each in (self.before, self.during))


def measure(
    site: Stack, name: str, attack: Attack, *, rate: float, before: float, during: float, connections: int
) -> Trial:
    """
    Args:
        rate: of the honest requests, a second. before, during: seconds of measuring.
    """
    presigner = Presigner(site.site, processes=1)
    try:
        calm = _honest(site, presigner, rate, before, seed=1)
        memory = _web_megabytes(site)
        with _Memory(site) as most, _attacking(site, attack, connections) as facts:
            troubled = _honest(site, presigner, rate, during, seed=2)
        trial = Trial(attack.title, calm, troubled, facts, (memory, most.value))
    finally:
        presigner.close()
    say(
        f"{name}: p99 {_p99(calm):.0f} ms before, {_p99(troubled):.0f} ms during, {trial.failed} failed "
        f"{dict(troubled.unexpected) or ''} {facts}"
    )
    return trial


def _honest(site: Stack, presigner: Presigner, rate: float, seconds: float, *, seed: int) -> Outcome:
    times = poisson(rate, seconds, seed)
    planned = presigner.sign(len(times), HONEST)
    return OpenLoop(site.address, connections=32).run(planned, times, rate)


def _p99(outcome: Outcome) -> float:
    return outcome.percentiles().get("p99", 0.0)


@contextmanager
def _attacking(site: Stack, attack: Attack, connections: int) -> Iterator[dict[str, Any]]:
    """The attack runs inside, once it is under way; the attacker's counts are there afterwards."""
    context = get_context("spawn")
    ready, over = context.Event(), context.Event()
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_attacker, args=(attack, site.address, connections, ready, over, theirs), daemon=True
    )
    process.start()
    facts: dict[str, Any] = {}
    try:
        if not ready.wait(START_SECONDS):
            raise SystemExit(f"The attack did not begin: {attack.title}")
        yield facts
    finally:
        over.set()
        if ours.poll(20):
            facts.update(ours.recv())
        process.join(20)
        if process.is_alive():
            process.kill()


def _attacker(
    attack: Attack, address: tuple[str, int], connections: int, ready: Event, over: Event, answer: Connection
) -> None:
    allow_files(connections)
    running = attack.start(address)
    running.run(ready, over)
    answer.send(running.facts())


def _web_megabytes(site: Stack) -> float:
    return megabytes(site.processes()["web"])


class _Memory(threading.Thread):
    """The most that the web processes have meanwhile."""

    def __init__(self, site: Stack) -> None:
        super().__init__(daemon=True)
        self._site, self._over = site, threading.Event()
        self.value = 0.0

    def __enter__(self) -> _Memory:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(MEMORY_SECONDS):
            self.value = max(self.value, _web_megabytes(self._site))
