"""The nonce store on Redis that falls back to the database, all workers together.

A worker that cannot reach Redis for a while lets the database count for everybody, also for workers that
still reach Redis: otherwise a nonce could be spent once in each. Redis counts again when it answers, the
database has counted for long enough, and no worker has missed Redis for half as long.
After each switch only signatures count that cannot have been spent before it (`keys.replay.lease`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from keys.errors import ReplayCheckUnavailable
from keys.models import ReplayStoreName
from keys.replay.base import CLOCK_MARGIN, Outcome, ReplayStore, Spend, Spent, too_early
from keys.replay.lease import Lease, Leases
from keys.replay.redis import RedisReplayStore

T = TypeVar("T")


class SwitchingReplayStore:
    """One per process.

    Args:
        stay: seconds for which the database counts at least; it begins to after a twentieth of that
            without Redis. At least twice as long as records of clients live.
    """

    def __init__(self, redis: RedisReplayStore, database: ReplayStore, *, stay: float) -> None:
        self._redis = redis
        self._database = database
        self._leases = Leases()
        self._patience = stay / 20
        self._stay = stay
        self._quiet = stay / 2
        self._probe = stay / 12
        self._missed_since: float | None = None
        self._probed_at = 0.0

    def spend(self, spend: Spend) -> Spent:
        lease = self._leases.current()
        if lease.store == ReplayStoreName.DATABASE:
            lease = self._return_to_redis(lease)
        if spend.oldest <= lease.begin:
            return too_early(spend, begin=lease.begin)
        if spend.oldest > lease.now() + CLOCK_MARGIN:
            return Spent(Outcome.CLOCK_WRONG)
        spent = self._ask(lease, lambda store: store.spend(spend))
        if not self._leases.confirms(lease):
            return too_early(spend, begin=self._leases.current().begin)
        return spent

    def is_current(self, client_id: str, epoch: int) -> bool:
        return self._ask(self._leases.current(), lambda store: store.is_current(client_id, epoch))

    def announce(self, client_id: str, epoch: int, *, in_flux: bool) -> None:
        """To Redis in any case: it may count again soon, or already.

        While the database counts, the epoch is announced where it is written. Then Redis that cannot be
        told must not count again before the records that it would believe are too old (`stay`).
        """
        try:
            self._redis.announce(client_id, epoch, in_flux=in_flux)
        except ReplayCheckUnavailable:
            # Not inside the caller's transaction: it would hold the row until its end.
            if in_flux or self._leases.current().store != ReplayStoreName.DATABASE:
                raise
            self._leases.note_redis_missed()

    def announce_new(self, client_id: str, epoch: int) -> None:
        self._redis.announce_new(client_id, epoch)

    def recall(self, client_id: str, epoch: int) -> None:
        self._ask(self._leases.current(), lambda store: store.recall(client_id, epoch))

    def _ask(self, lease: Lease, question: Callable[[ReplayStore], T]) -> T:
        if lease.store == ReplayStoreName.DATABASE:
            return question(self._database)
        try:
            answer = question(self._redis)
        except ReplayCheckUnavailable:
            self._fall_back_in_time(lease)
            raise
        self._missed_since = None
        return answer

    def _fall_back_in_time(self, lease: Lease) -> None:
        """The database counts once Redis has been missed for long enough; a restart of it is sat out."""
        now = time.monotonic()
        if self._missed_since is None:
            self._missed_since = now
        if now - self._missed_since >= self._patience:
            self._missed_since = None
            self._leases.switch(lease, ReplayStoreName.DATABASE, why="Redis cannot be reached")

    def _return_to_redis(self, lease: Lease) -> Lease:
        """Look for Redis now and then, one request at a time; switch back when all is well."""
        if time.monotonic() - self._probed_at < self._probe:
            return lease
        self._probed_at = time.monotonic()
        if not self._redis.answers():
            self._leases.note_redis_missed()
            return lease
        now = lease.now()
        if now - lease.since < self._stay or now - lease.redis_missed_at < self._quiet:
            return lease
        self._leases.switch(lease, ReplayStoreName.REDIS, why="Redis answers again")
        return self._leases.current()
