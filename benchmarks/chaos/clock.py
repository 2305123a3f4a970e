"""Run a module with a clock that can be set from outside: `python -m benchmarks.chaos.clock FILE MODULE …`.

FILE holds the offset in seconds; what is written into it counts within a tenth of a second, for this
process and for all that it forks. The monotonic clock is left alone, as on a machine whose clock is set.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import time_machine

LOOK_SECONDS = 0.1


class Clock:
    """This process's, which follows the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._traveller = time_machine.travel(datetime.now(UTC), tick=True).start()
        time.time()

    def follow(self) -> None:
        """On a thread of its own, which a fork does not take along."""
        threading.Thread(target=self._follow, name="clock", daemon=True).start()

    def _follow(self) -> None:
        set_to: float | None = None
        while True:
            wanted = float(self._file.read_text() or 0)
            if wanted != set_to:
                self._traveller.move_to(time_machine.escape_hatch.time.time() + wanted)
                time.time()  # it ticks from the first look on
                set_to = wanted
            time.sleep(LOOK_SECONDS)


def main() -> None:
    clock = Clock(Path(sys.argv[1]))
    clock.follow()
    os.register_at_fork(after_in_child=clock.follow)
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
