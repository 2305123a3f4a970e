"""Reading a growing table by id without missing rows that were committed late.

A database hands out ids before it commits, so a row may appear behind a reader that is already past
its id. The reader therefore remembers the ids that it passed without seeing a row, as ranges, and
looks into them again until they are too old for anything to turn up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Gap(NamedTuple):
    """Ids `first` to `last` that were missing; looked into until `until` (seconds since the epoch)."""

    first: int
    last: int
    until: float


def advance(
    position: int, gaps: Sequence[Gap], seen: Iterable[int], *, now: float, lifetime: float
) -> tuple[int, list[Gap]]:
    """The reader's place after it saw the rows with these ids.

    Args:
        position: the highest id seen so far.
        gaps: what was missing below it.
        seen: ids of the rows just read, behind the position and out of the gaps.
        now, lifetime: seconds; a new gap is remembered until their sum.

    Returns:
        The new position, and the gaps that still are some.
    """
    ids = sorted(set(seen))
    late = [number for number in ids if number <= position]
    open_gaps = [piece for gap in gaps if gap.until > now for piece in _without(gap, late)]
    for number in ids:
        if number > position:
            if number > position + 1:
                open_gaps.append(Gap(position + 1, number - 1, now + lifetime))
            position = number
    return position, open_gaps


def _without(gap: Gap, late: Sequence[int]) -> list[Gap]:
    """What is left of a gap when rows turned up in it."""
    pieces, first = [], gap.first
    for number in late:
        if gap.first <= number <= gap.last:
            if number > first:
                pieces.append(Gap(first, number - 1, gap.until))
            first = number + 1
    if first <= gap.last:
        pieces.append(Gap(first, gap.last, gap.until))
    return pieces
