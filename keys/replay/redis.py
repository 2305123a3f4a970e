"""The nonce store on Redis: one script, one round trip.

What makes it safe:

- A nonce is remembered until `created` + window + skew, so there is no moment in which a
  signature is still fresh and its nonce forgotten.
- Redis that loses its memory must not let old signatures in. Each client's state says since when
  this memory is complete and in which run of the server. State that is missing, or of another run
  (a restart may lose the last second, a failover more), is begun anew, for all clients at the moment
  when the first of them needs it; signatures that may have been accepted before that are refused as
  unverifiable. A connection cannot outlive a run, so the run that it learnt when it was made is the
  run that answers.
- Redis' clock alone says when memory begins and when a nonce is forgotten, so servers whose clocks
  are wrong, or differ, open no gap; what they would take and Redis could not vouch for is refused.
- An eviction policy would forget nonces silently, so only `noeviction` is accepted: a full Redis
  answers with an error, which is a 503 here.
"""

from __future__ import annotations

from keys.replay.base import Outcome, Spend, Spent, too_early, unavailable
from keys.replay.connection import RedisConnections, parse_info
from keys.replay.scripts import (
    ANNOUNCE,
    ANNOUNCE_NEW,
    EPOCH,
    MEMORY_KEY,
    RECALL,
    REGISTRY_EPOCH_KEY,
    SPEND,
)

__all__ = ["USAGE_PREFIX", "RedisReplayStore", "parse_info", "unavailable"]

WINDOW_SECONDS = 60
USAGE_PREFIX = "df:use:"


class RedisReplayStore:
    """One per process.

    Args:
        url: redis://, rediss:// or unix:// URL.
        timeout: seconds to connect and to wait for an answer.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._redis = RedisConnections(url, timeout=timeout)

    def spend(self, spend: Spend) -> Spent:
        now = spend.now
        client_id = spend.client_id
        window = int(now // WINDOW_SECONDS)
        window_rest = (window + 1) * WINDOW_SECONDS - now
        answer, registry_epoch = self._redis.run_and_get(
            SPEND,
            "*" if spend.epoch is None else spend.epoch,
            spend.oldest,
            spend.remember_until if spend.nonce else 0,
            spend.rate_limit,
            int(window_rest * 1000) + 1000,
            f"{spend.key_id}|{int(now // 3600)}",
            keys=(
                f"df:st:{{{client_id}}}",
                f"df:n:{{{client_id}}}:{spend.nonce}",
                f"df:r:{{{client_id}}}:{window}",
                f"{USAGE_PREFIX}{{{client_id}}}",
            ),
            get=REGISTRY_EPOCH_KEY,
        )
        if isinstance(answer, bytes):
            return Spent(
                Outcome.FRESH,
                spend.rate_limit,
                int(answer),
                int(window_rest) + 1,
                f"{self._redis.run_id}-{(registry_epoch or b'0').decode()}",
            )
        if answer < 0:
            return too_early(spend, begin=-answer)
        return Spent(Outcome(answer), spend.rate_limit, 0, int(window_rest) + 1)

    def is_current(self, client_id: str, epoch: int) -> bool:
        return bool(self._redis.run(EPOCH, keys=_state(client_id)) == str(epoch).encode())

    def announce(self, client_id: str, epoch: int, *, in_flux: bool) -> None:
        self._redis.run(ANNOUNCE, epoch, int(in_flux), keys=_state(client_id))

    def announce_new(self, client_id: str, epoch: int) -> None:
        self._redis.run(ANNOUNCE_NEW, epoch, keys=_state(client_id))

    def recall(self, client_id: str, epoch: int) -> None:
        self._redis.run(RECALL, epoch, keys=(*_state(client_id), MEMORY_KEY))

    def answers(self) -> bool:
        """Whether Redis can be reached from this process, and takes writes."""
        return self._redis.probe()


def _state(client_id: str) -> tuple[str]:
    return (f"df:st:{{{client_id}}}",)
