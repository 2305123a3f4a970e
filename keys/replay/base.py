"""What a nonce store is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Outcome(Enum):
    FRESH = 0
    """The nonce was unknown and is spent now; usage and rate are counted."""
    REPLAYED = 1
    """The nonce was spent before."""
    STALE = 2
    """The caller's record of the client is of another epoch: read it again, verify again."""
    UNKNOWN = 3
    """The store knows nothing of this client (new, or it lost its memory): announce it first."""
    TOO_EARLY = 4
    """Signed before the store's memory of this client began: a replay cannot be ruled out."""
    RATE_LIMITED = 5
    """The client is over its rate; nothing was spent."""


@dataclass(frozen=True, slots=True)
class Spend:
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


@dataclass(frozen=True, slots=True)
class Spent:
    """`remaining` requests in the current minute, `reset` seconds until it ends."""

    outcome: Outcome
    limit: int = 0
    remaining: int = 0
    reset: int = 0


class ReplayStore(Protocol):
    def spend(self, spend: Spend) -> Spent:
        """Check epoch, rate and nonce and count usage, in one atomic step.

        Raises:
            ReplayCheckUnavailable: the store cannot answer. Never a pass.
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

    def recall(self, client_id: str, epoch: int, now: float) -> None:
        """Announce a client that the store answered UNKNOWN for: its memory begins at `now`."""
        ...

    def current_epoch(self, client_id: str) -> int | None:
        """The client's epoch as far as the store knows; None while it changes or is not known."""
        ...
