"""When background jobs finished, as the database has it: looked at all the time, because it keeps the last only."""

from __future__ import annotations

import threading

import psycopg

LOOK_SECONDS = 0.25
LAST_ROUND = (
    "SELECT EXTRACT(EPOCH FROM max(last_started))::float8 FROM accounts_jobrun "
    "WHERE last_finished >= last_started"
)


class JobsWatch:
    """Looks on a thread of its own until it is stopped."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._starts: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def first_after(self, moment: float) -> float | None:
        """When the first job began after that moment that also ran through; Unix seconds."""
        return next((start for start in self._starts if start > moment), None)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._dsn, connect_timeout=2, autocommit=True) as connection:
                    while not self._stop.wait(LOOK_SECONDS):
                        row = connection.execute(LAST_ROUND.encode()).fetchone()
                        if row and row[0] is not None and row[0] not in self._starts[-1:]:
                            self._starts.append(row[0])
            except psycopg.OperationalError:
                self._stop.wait(LOOK_SECONDS)
