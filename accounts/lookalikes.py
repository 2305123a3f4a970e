"""Names that a tired reader would take for another client's.

A name is folded to its *skeleton* (the idea of UTS 39 §4): case, separators and characters that look
alike are levelled, so `PayPal-Prod` and `paypa1.prod` have one skeleton. The skeleton is stored and
indexed, so a look-alike is found by exact lookups among 10⁶ clients, never by comparing with all.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable

# Sequences first, then characters. Cyrillic and Greek letters that have a Latin double.
_SEQUENCES = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_CHARACTERS = str.maketrans(
    "01358" + "авеԁһіјкӏмнорԛѕтухԝ" + "αβεηικνορτυχωγ",
    "olesb" + "abedhijklmhopqstyxw" + "abenikvoptuxwy",
)
_ALPHABET = string.ascii_lowercase + "24679"
MAX_SKELETON = 100


def skeleton(name: str) -> str:
    """`name` with everything levelled that the eye skips; at most 100 characters, "" for "".

    Combining marks, separators and punctuation go; what stays is lower case.
    """
    folded = unicodedata.normalize("NFKD", name[:MAX_SKELETON]).casefold()
    kept = "".join(character for character in folded if character.isalnum()).translate(_CHARACTERS)
    kept = kept.replace("i", "l")
    for sequence, single in _SEQUENCES:
        kept = kept.replace(sequence, single)
    return kept[:MAX_SKELETON]


def neighbours(of: str) -> set[str]:
    """Every skeleton one edit away from `of`: a character dropped, added, changed or two swapped.

    At most about 65 for each character: a bounded list for one indexed `IN`.
    """
    splits = [(of[:cut], of[cut:]) for cut in range(len(of) + 1)]
    found = {left + right[1:] for left, right in splits if right}
    found |= {left + right[1] + right[0] + right[2:] for left, right in splits if len(right) > 1}
    found |= {left + character + right[1:] for left, right in splits if right for character in _ALPHABET}
    found |= {left + character + right for left, right in splits for character in _ALPHABET}
    return {skeleton for skeleton in found if len(skeleton) > 2} - {of}


def candidates(skeletons: Iterable[str], *, limit: int) -> tuple[dict[str, set[str]], set[str]]:
    """What to look for instead of each skeleton: itself and its neighbours; and those with no room for neighbours.

    At most about `limit` in all. The short ones come first: they have few neighbours, and whoever registers long
    names must not use up what the others need.
    """
    found: dict[str, set[str]] = {}
    left_out: set[str] = set()
    room = limit
    for one in sorted({one for one in skeletons if one}, key=lambda one: (len(one), one)):
        more = neighbours(one)
        room -= len(more)
        if room < 0:
            left_out.add(one)
        found[one] = {one} if one in left_out else {one} | more
    return found, left_out
