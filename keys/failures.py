"""A limit on refused signatures per address, applied before any cryptography.

Whatever is wrong with them: each costs a round trip to the store, and a replay the cryptography, too.

It is counted in the shared store, so that it holds across processes. A client whose signatures held from
the same address a moment ago is let through while its neighbours are refused: behind one gateway, one who
floods does not cost the others.
"""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.db import DatabaseError

from keys.errors import RateLimited, ReplayCheckUnavailable
from keys.rates import SharedLimit, seconds_left
from project.context import current_context
from project.proxies import caller_network
from project.ratelimit import Quota, parse_rate

_HELD_SECONDS = 600.0
_REMEMBERED = 10_000


class RefusedSignatures:
    """What this process knows of addresses whose signatures are refused."""

    def __init__(self) -> None:
        self._by_address = SharedLimit("failures")
        self._by_client = SharedLimit("client-failures")
        self._held: dict[tuple[str, str], float] = {}

    def check(self, address: str, keyid: str, now: float) -> None:
        """Raises `RateLimited` for an address over its limit, or a client over it at this address."""
        rate = settings.DATAFOLD_FAILURE_RATE
        if not rate:
            return
        network = caller_network(address)
        if self._by_client.is_over(_client_at(network, keyid), now):
            raise _too_many(rate, now)
        if self._by_address.is_over(network, now) and not self._is_known(network, keyid, now):
            raise _too_many(rate, now)

    def count(self, address: str, keyid: str, now: float) -> None:
        """One more refused signature. Never raises: the refusal stands, whether it can be counted or not."""
        if not settings.DATAFOLD_FAILURE_RATE:
            return
        network, rate = caller_network(address), parse_rate(settings.DATAFOLD_FAILURE_RATE)
        try:
            if self._is_known(network, keyid, now):
                self._by_client.count(_client_at(network, keyid), rate, now)
            self._by_address.count(network, rate, now)
        except (ReplayCheckUnavailable, DatabaseError):
            return

    def note_held(self, address: str, keyid: str, now: float) -> None:
        """A signature of this keyid held from this address."""
        self._held[caller_network(address), keyid] = now
        if len(self._held) > _REMEMBERED:
            self._held.pop(next(iter(self._held)), None)

    def _is_known(self, network: str, keyid: str, now: float) -> bool:
        return self._held.get((network, keyid), 0.0) > now - _HELD_SECONDS


def _client_at(network: str, keyid: str) -> str:
    return f"{network}:{keyid}"[:80]


def _too_many(rate: str, now: float) -> RateLimited:
    limit, period = parse_rate(rate)
    reset = seconds_left(period, now)
    current_context().quota = Quota("failures", limit, period, 0, reset)
    return RateLimited(
        f"More than {limit} signatures from this address were refused; no more are checked for {reset} s. The refusals "
        "before this one said why; POST /api/v1/crypto/signatures/inspect looks at a signature more closely.",
        retry_after=reset,
        limit=limit,
    )


@lru_cache(maxsize=1)
def refused_signatures() -> RefusedSignatures:
    """This process's."""
    return RefusedSignatures()
