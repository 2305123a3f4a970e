"""The jobs around the server's own keys: sealing the audit log, and forgetting keys of the past."""

from __future__ import annotations

from datetime import datetime

from accounts.jobs import Counts
from accounts.sealing import seal_events
from keys.server_keys import current_signer


def seal_audit_log(now: datetime) -> Counts:
    """Seal what was appended since the last checkpoint."""
    return seal_events(signer=current_signer(), now=now)


def seal_late_events(now: datetime) -> Counts:
    """Seal what became visible more than an hour after it was made, wherever it is."""
    return seal_events(signer=current_signer(), now=now, everything=True)
