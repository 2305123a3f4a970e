"""A memo of the pure cryptographic check: which key a (signature, base) held under.

It spares a flood of repeats the elliptic curves; replay, state and time are checked every time.
"""

from __future__ import annotations

import time
from collections import OrderedDict


class SignatureMemo:
    """Bounded; entries live `ttl` seconds. Operations on the dictionary are atomic under the GIL."""

    def __init__(self, *, size: int, ttl: int) -> None:
        self._size = size
        self._ttl = ttl
        self._held: OrderedDict[tuple[bytes, bytes], tuple[float, str]] = OrderedDict()

    def recall(self, signature: bytes, base: bytes) -> str:
        """The thumbprint of the key under which it held, or ""."""
        found = self._held.get((signature, base))
        return found[1] if found is not None and found[0] > time.monotonic() else ""

    def remember(self, signature: bytes, base: bytes, thumbprint: str) -> None:
        self._held[signature, base] = (time.monotonic() + self._ttl, thumbprint)
        while len(self._held) > self._size:
            try:
                self._held.popitem(last=False)
            except KeyError:
                break
