"""How long to wait before the next attempt."""

from __future__ import annotations

from datetime import timedelta

FIRST = timedelta(seconds=10)
LONGEST = timedelta(hours=1)


def delay_after(attempts: int, *, jitter: float) -> timedelta:
    """Exponential with equal jitter: half of it is certain, the other half is left to chance.

    Args:
        attempts: how many have failed, from 1.
        jitter: a random number from 0 to 1.
    """
    longest = min(FIRST * (1 << min(attempts - 1, 20)), LONGEST)
    return longest / 2 + longest / 2 * jitter
