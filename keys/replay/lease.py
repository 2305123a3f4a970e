"""Which store counts: one row in the database, believed by each worker for a second at a time.

No two workers may use different stores at the same moment. So a worker uses what it read for at most
`LEASE_SECONDS`, counted from before it read; and whoever begins to use a store after a switch counts
on stragglers for as long. What a straggler accepted in the old store was signed before `since` + lease
(+ its skew); the new store refuses exactly that (`Lease.begin`).

A worker that is paused for longer than its lease, between looking at it and spending a nonce, is caught
afterwards: an answer counts only if the lease still holds when it has arrived (`Leases.confirms`).

The database's clock is the one by which all this is judged, because the workers' own may be wrong.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from django.db import Error
from django.db.models import F

from keys.models import ReplayMode, ReplayStoreName
from keys.replay.base import CLOCK_MARGIN, log, unavailable
from project.db.clock import UnixNow

LEASE_SECONDS = 1.0
ROW = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """What the row said. `read_at`: monotonic and wall clock from before it was read; `clock`: the
    database's clock then, in Unix seconds."""

    store: str
    since: float
    generation: int
    redis_missed_at: float
    read_at: tuple[float, float]
    clock: float

    @property
    def begin(self) -> float:
        """Signatures that may have been accepted before this moment (Unix seconds) may be spent elsewhere."""
        # One margin for what was taken ahead of time, one for how far Redis and the database are apart.
        return self.since + LEASE_SECONDS + 2 * CLOCK_MARGIN if self.since else 0.0

    def now(self) -> float:
        """The present by the database's clock, to a lease's length."""
        return self.clock + time.monotonic() - self.read_at[0]

    def holds(self) -> bool:
        # Both clocks: a paused machine stops the one, a corrected clock moves the other.
        monotonic, wall = self.read_at
        return time.monotonic() - monotonic < LEASE_SECONDS and abs(time.time() - wall) < LEASE_SECONDS


class Leases:
    """This process's lease, read anew when it runs out. Safe for threads."""

    def __init__(self) -> None:
        self._lease: Lease | None = None
        self._lock = threading.Lock()

    def current(self) -> Lease:
        """The lease that holds now.

        Raises:
            ReplayCheckUnavailable: the database cannot say which store counts.
        """
        lease = self._lease
        if lease is not None and lease.holds():
            return lease
        with self._lock:
            if self._lease is None or not self._lease.holds():
                self._lease = self._read()
            return self._lease

    def confirms(self, lease: Lease) -> bool:
        """Whether the store of `lease` counted until now, so that an answer which just came from it counts."""
        return lease.holds() or self.current().generation == lease.generation

    def switch(self, lease: Lease, store: ReplayStoreName, *, why: str) -> None:
        """Let `store` count for everybody, unless somebody has switched since `lease`."""
        rows = ReplayMode.objects.filter(pk=ROW, generation=lease.generation)
        try:
            # `since` comes later: a slow commit would let it lie before the moment in which others see it.
            switched = rows.update(
                store=store, since=None, generation=F("generation") + 1, redis_missed_at=UnixNow()
            )
        except Error as error:
            raise unavailable(error) from error
        self._lease = None
        if switched:
            log.error("the %s counts as the store of nonces from now on: %s", store, why)

    def note_redis_missed(self) -> None:
        """Tell the other workers that this one cannot reach Redis."""
        try:
            ReplayMode.objects.filter(pk=ROW).update(redis_missed_at=UnixNow())
        except Error as error:
            raise unavailable(error) from error

    def _read(self) -> Lease:
        try:
            for _ in range(5):
                read_at = (time.monotonic(), time.time())
                row = ReplayMode.objects.annotate(clock=UnixNow()).filter(pk=ROW).first()
                if row is None:
                    ReplayMode.objects.get_or_create(pk=ROW)
                elif row.since is not None:
                    return Lease(
                        row.store, row.since, row.generation, row.redis_missed_at, read_at, row.clock
                    )
                else:
                    # Seen, so the switch is committed: nobody who reads from now on uses the old store.
                    ReplayMode.objects.filter(pk=ROW, generation=row.generation, since=None).update(
                        since=UnixNow()
                    )
        except Error as error:
            raise unavailable(error) from error
        raise unavailable("the store of nonces is being switched")
