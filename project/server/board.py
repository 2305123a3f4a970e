"""How many connections each worker has, where all workers read it: that is how they share them evenly.

Workers listen on one socket, and the kernel hands a connection to whoever comes first. Under light load
that is always the same one, and kept-alive connections stay where they are.
"""

from __future__ import annotations

import mmap
import struct

SLOTS = 64
SILENT_SECONDS = 3.0  # a worker that says nothing for so long is stuck or gone
_ENTRY = struct.Struct("dI4x")  # when it was written (monotonic), connections


class Board:
    """Memory that forked processes share. Made before the first fork; a writer writes only its own slot."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SLOTS * _ENTRY.size)

    def tell(self, worker: int, connections: int, now: float) -> None:
        """`worker` has so many connections. `now`: monotonic seconds."""
        _ENTRY.pack_into(self._memory, worker % SLOTS * _ENTRY.size, now, connections)

    def leave(self, worker: int) -> None:
        """`worker` accepts nothing any more."""
        self.tell(worker, 0, 0.0)

    def lightest_other(self, worker: int, now: float) -> int | None:
        """The fewest connections that another worker has; None where there is no other."""
        own = worker % SLOTS
        entries = enumerate(_ENTRY.iter_unpack(self._memory[:]))
        others = (count for slot, (at, count) in entries if slot != own and now - at < SILENT_SECONDS)
        return min(others, default=None)
