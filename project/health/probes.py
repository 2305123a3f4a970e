"""Asking parts that may hang: side by side, within one deadline, and never twice at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from django.db import connections

DEADLINE_SECONDS = 2.0

Facts = dict[str, Any]


class Probes:
    """One thread at most for each part: while a part hangs, nobody starts another question to it.

    Args:
        checks: by name; a check returns facts, among them `status` where the part is not "healthy".
    """

    def __init__(self, checks: Mapping[str, Callable[[], Facts]]) -> None:
        self._checks = dict(checks)
        self._running: dict[str, Future[Facts]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=len(self._checks), thread_name_prefix="health")

    def ask(self, names: Iterable[str], *, seconds: float = DEADLINE_SECONDS) -> dict[str, Facts]:
        """What each part says within `seconds` for all of them together. Never raises."""
        asked = {name: self._question(name) for name in names}
        wait(asked.values(), timeout=seconds)
        return {name: _outcome(future, seconds) for name, future in asked.items()}

    def _question(self, name: str) -> Future[Facts]:
        with self._lock:
            running = self._running.get(name)
            if running is None or running.done():
                running = self._running[name] = self._pool.submit(_timed, self._checks[name])
            return running


def _timed(check: Callable[[], Facts]) -> Facts:
    started = time.perf_counter()
    try:
        facts = check()
    finally:
        connections.close_all()
    return {"status": "healthy", "ms": round((time.perf_counter() - started) * 1000, 1), **facts}


def _outcome(future: Future[Facts], seconds: float) -> Facts:
    if not future.done():
        return {"status": "unhealthy", "error": f"no answer within {seconds:g} s"}
    error = future.exception()
    if error is not None:  # whatever a part's driver raises means that the part is unwell
        return {"status": "unhealthy", "error": type(error).__name__}
    return future.result()
