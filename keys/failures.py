"""A limit on wrong signatures per address, applied before any cryptography.

It is counted in the shared store, so that it holds across processes. A client whose signatures held from
the same address a moment ago is let through while its neighbours are refused: behind one gateway, one who
floods does not cost the others.
"""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from keys.errors import RateLimited, ReplayCheckUnavailable
from keys.rates import SharedLimit, seconds_left
from project.context import current_context
from project.proxies import caller_network
from project.ratelimit import Quota, parse_rate

_HELD_SECONDS = 600.0
_REMEMBERED = 10_000


class WrongSignatures:
    """What this process knows of addresses that sign wrongly."""

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
        if self._by_client.is_over(f"{network}:{keyid}", now):
            raise _too_many(rate, now)
        if self._by_address.is_over(network, now) and not self._is_known(network, keyid, now):
            raise _too_many(rate, now)

    def count(self, address: str, keyid: str, now: float) -> None:
        """One more wrong signature. Never raises: the refusal stands, whether it can be counted or not."""
        if not settings.DATAFOLD_FAILURE_RATE:
            return
        network, rate = caller_network(address), parse_rate(settings.DATAFOLD_FAILURE_RATE)
        try:
            if self._is_known(network, keyid, now):
                self._by_client.count(f"{network}:{keyid}"[:80], rate, now)
            self._by_address.count(network, rate, now)
        except ReplayCheckUnavailable:
            return

    def note_held(self, address: str, keyid: str, now: float) -> None:
        """A signature of this keyid held from this address."""
        self._held[caller_network(address), keyid] = now
        if len(self._held) > _REMEMBERED:
            self._held.pop(next(iter(self._held)), None)

    def _is_known(self, network: str, keyid: str, now: float) -> bool:
        return self._held.get((network, keyid), 0.0) > now - _HELD_SECONDS


def _too_many(rate: str, now: float) -> RateLimited:
    limit, period = parse_rate(rate)
    reset = seconds_left(period, now)
    current_context().quota = Quota("failures", limit, period, 0, reset)
    return RateLimited(
        f"More than {limit} wrong signatures came from this address; no more are checked for {reset} s. Check the key "
        "and what it signs: POST /api/v1/crypto/signatures/inspect says what is wrong.",
        retry_after=reset,
        limit=limit,
    )


@lru_cache(maxsize=1)
def wrong_signatures() -> WrongSignatures:
    """This process's."""
    return WrongSignatures()
