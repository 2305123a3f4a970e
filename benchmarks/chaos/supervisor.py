"""Parts that end by themselves are started again, as compose.yaml and Kubernetes do it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from benchmarks.chaos.part import Part

LOOK_SECONDS = 0.5


class Supervisor:
    """Looks after the parts on a thread of its own, until it is stopped.

    Attributes:
        restarts: how often a part had ended by itself, by name.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.restarts: Counter[str] = Counter()
        self._parts = parts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            for part in self._parts:
                if part.ended_by_itself():
                    self.restarts[part.name] += 1
                    part.start(wait=False)
