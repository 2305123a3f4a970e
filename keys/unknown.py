"""A bound on what unknown `keyid`s cost: each is a question to the database, and anybody can make them up."""

from __future__ import annotations

import time
from collections import OrderedDict

from keys.errors import RateLimited
from project.proxies import caller_network

LIMIT_PER_MINUTE = 120
_MAX_ADDRESSES = 10_000


class UnknownKeyids:
    """Counts the unknown keyids of each address in this process, by the minute.

    An address over the limit is refused before the database is asked again. Clients that this process
    has met are not: a neighbour's flood must not touch them, also when their record has to be read again.
    """

    def __init__(self, *, limit: int = LIMIT_PER_MINUTE) -> None:
        self._limit = limit
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def check(self, address: str, now: float) -> None:
        """Raises `RateLimited` for an address that named too many unknown keyids in this minute."""
        minute, count = self._counts.get(caller_network(address), (0, 0))
        if minute == int(now // 60) and count >= self._limit:
            raise RateLimited(
                "Too many requests from this address named a keyid that does not exist. Check the keyid; it is the "
                "client_id that the registration returned, or the key's thumbprint.",
                retry_after=int(60 - now % 60) + 1,
                limit=self._limit,
            )

    def count(self, address: str, now: float) -> None:
        network, this_minute = caller_network(address), int(now // 60)
        minute, count = self._counts.pop(network, (0, 0))
        self._counts[network] = (this_minute, count + 1 if minute == this_minute else 1)
        while len(self._counts) > _MAX_ADDRESSES:
            try:
                self._counts.popitem(last=False)
            except KeyError:
                break


class Budget:
    """A token bucket for work that is worth doing, but not as often as anybody likes."""

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = time.monotonic()

    def take(self) -> bool:
        """Whether one more is within the budget now."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
