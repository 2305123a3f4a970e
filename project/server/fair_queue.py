"""Requests that wait for a thread: callers take turns, however many requests each of them has waiting."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """First in, first out within a group; between groups one each in turn. Safe for threads."""

    def __init__(self) -> None:
        self._groups: dict[str, deque[Item]] = {}
        self._filled = threading.Condition()
        self._closed = False

    def put(self, group: str, item: Item) -> None:
        with self._filled:
            self._groups.setdefault(group, deque()).append(item)
            self._filled.notify()

    def get(self) -> Item | None:
        """The next item, waiting for one; None once the queue is closed."""
        with self._filled:
            while not self._groups and not self._closed:
                self._filled.wait()
            if self._closed:
                return None
            group, items = next(iter(self._groups.items()))
            del self._groups[group]
            item = items.popleft()
            if items:
                self._groups[group] = items  # to the end of the line
            return item

    def close(self) -> None:
        with self._filled:
            self._closed = True
            self._filled.notify_all()


class Crew(Generic[Item]):
    """At most `threads` threads, started as they are needed, that do `work` on what is put into their queue.

    They are daemons: a request that overran every limit does not keep its process from ending.
    """

    def __init__(self, name: str, threads: int, work: Callable[[Item], None]) -> None:
        self._name, self._threads, self._work = name, threads, work
        self._queue: FairQueue[Item] = FairQueue()
        self._started = 0
        self._busy = 0
        self._lock = threading.Lock()

    def submit(self, group: str, item: Item) -> None:
        with self._lock:
            self._busy += 1
            if self._busy > self._started < self._threads:
                self._started += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True).start()
        self._queue.put(group, item)

    def shutdown(self, wait: bool = False) -> None:
        """What waits is not done any more. `wait` is there for gunicorn, which passes False."""
        self._queue.close()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._work(item)
            except Exception:  # a thread that ended would be missing from now on
                log.exception("error in a thread of the server")
            finally:
                with self._lock:
                    self._busy -= 1
