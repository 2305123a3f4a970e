"""A worker hears the signal that stops it, however early it comes.

Between the fork and the moment when a worker has installed its own handlers it still has the arbiter's, which
only put the signal into the arbiter's queue. A stop in those milliseconds was lost, and the arbiter waited its
whole graceful timeout for a worker that knew nothing of it. So the signals wait in the kernel meanwhile.
"""

from __future__ import annotations

import os
import signal

_HELD = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def hold_stop_signals() -> None:
    """In the arbiter, before it forks a worker; the fork itself lets the arbiter go on as before."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def release_stop_signals() -> None:
    """In the worker, with its handlers installed; a signal that waits arrives now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


os.register_at_fork(after_in_parent=release_stop_signals)
