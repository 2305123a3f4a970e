"""A memo of the pure cryptographic check: which key a (signature, base) held under.

It spares a flood of repeats the elliptic curves; replay, state and time are checked every time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from hashlib import sha256


class SignatureMemo:
    """Bounded; entries live `ttl` seconds. Operations on the dictionary are atomic under the GIL."""

    def __init__(self, *, size: int, ttl: int) -> None:
        self._size = size
        self._ttl = ttl
        self._held: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def recall(self, digest: bytes) -> str:
        """The thumbprint of the key under which the digest's signature held, or ""."""
        found = self._held.get(digest)
        return found[1] if found is not None and found[0] > time.monotonic() else ""

    def remember(self, digest: bytes, thumbprint: str) -> None:
        self._held[digest] = (time.monotonic() + self._ttl, thumbprint)
        while len(self._held) > self._size:
            try:
                self._held.popitem(last=False)
            except KeyError:
                break


def digest_of(signature: bytes, base: bytes) -> bytes:
    """What the memo knows both by. A base has up to 64 KiB, as its signer pleases; a thousand of them are not kept."""
    return sha256(len(signature).to_bytes(4, "big") + signature + base).digest()
