"""What a nonce store is asked and what it answers."""

from __future__ import annotations

import logging
import math
from enum import Enum
from typing import NamedTuple, Protocol

from keys.errors import ReplayCheckUnavailable

log = logging.getLogger(__name__)

# How far a server's clock may be ahead of its store's, in seconds, before what it takes is refused. It
# widens every rule that compares a moment noted by one machine with a signature accepted by another.
CLOCK_MARGIN = 1.0


class Outcome(Enum):
    FRESH = 0
    """The nonce was unknown and is spent now; usage and rate are counted."""
    REPLAYED = 1
    """The nonce was spent before; nothing is counted, so replays cannot use up a client's rate."""
    STALE = 2
    """The caller's record of the client is of another epoch: read it again, verify again."""
    UNKNOWN = 3
    """The store knows nothing of this client (new, or it lost its memory): announce it first."""
    TOO_EARLY = 4
    """Signed before the store's memory of this client began: a replay cannot be ruled out."""
    RATE_LIMITED = 5
    """The client is over its rate; nothing was spent."""
    CLOCK_WRONG = 6
    """By the store's clock it is signed in the future, or may be forgotten already; nothing was spent."""


class Spend(NamedTuple):
    """One signed request that holds, about to be let in.

    `created` and `remember_until` and `now` are Unix seconds; `clock_skew` seconds; `rate_limit`
    requests per minute. `epoch` None where the caller's record was read from the database for this
    very request. `nonce` "" where the profile lets a safe request go without one.
    """

    client_id: str
    epoch: int | None
    key_id: str
    nonce: str
    created: int
    clock_skew: int
    remember_until: float
    rate_limit: int
    now: float

    @property
    def oldest(self) -> int:
        """No server of ours can have accepted this signature before this moment (Unix seconds)."""
        return self.created - self.clock_skew


class Spent(NamedTuple):
    """`remaining` requests in the current minute, `reset` seconds until it ends.

    Where the outcome is TOO_EARLY, `reset` is after how many seconds a new signature counts.
    `registry_epoch` is that of the schemas at this moment, read along in the same round trip; "" where
    the store does not know it.
    """

    outcome: Outcome
    limit: int = 0
    remaining: int = 0
    reset: int = 0
    registry_epoch: str = ""


def too_early(spend: Spend, *, begin: float) -> Spent:
    """The answer to a signature that may have been spent before this memory's `begin`."""
    wait = math.ceil(begin + spend.clock_skew - spend.now) + 1
    return Spent(Outcome.TOO_EARLY, reset=max(1, wait))


def unavailable(error: object) -> ReplayCheckUnavailable:
    """The refusal while the store of used nonces cannot answer."""
    log.warning("the replay store cannot answer: %s", error)
    return ReplayCheckUnavailable(
        "The server cannot rule out a replay at the moment, so it lets nothing in. Sign the request again "
        "with a new nonce and send it after the seconds that Retry-After gives.",
        retry_after=1,
    )


class ReplayStore(Protocol):
    def spend(self, spend: Spend) -> Spent:
        """Check epoch, rate and nonce and count usage, in one atomic step.

        Raises:
            ReplayCheckUnavailable: the store cannot answer. Never a pass.
        """
        ...

    def is_current(self, client_id: str, epoch: int) -> bool:
        """Whether a record of the client that was read at `epoch` is still true.

        Raises:
            ReplayCheckUnavailable
        """
        ...

    def announce(self, client_id: str, epoch: int, *, in_flux: bool) -> None:
        """Make `epoch` the client's; `in_flux` while its transaction is open (a minute at most).

        Raises:
            ReplayCheckUnavailable
        """
        ...

    def announce_new(self, client_id: str, epoch: int) -> None:
        """Announce a client that has just come to be, so that all its nonces are known here."""
        ...

    def recall(self, client_id: str, epoch: int) -> None:
        """Bring the store up to `epoch`, as just read from the database. Memory that it lost begins anew."""
        ...
