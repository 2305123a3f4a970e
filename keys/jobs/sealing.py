"""The jobs around the server's own keys: sealing the audit log, and forgetting keys of the past."""

from __future__ import annotations

import logging
from datetime import datetime

from accounts.jobs import Counts
from accounts.models import AuditCheckpoint
from accounts.proofs import checkpoint_document
from accounts.sealing import seal_events
from keys.server_keys import current_signer

log = logging.getLogger(__name__)


def seal_audit_log(now: datetime) -> Counts:
    """Seal what was appended since the last checkpoint."""
    return _published(seal_events(signer=current_signer(), now=now))


def seal_late_events(now: datetime) -> Counts:
    """Seal what became visible more than an hour after it was made, wherever it is."""
    return _published(seal_events(signer=current_signer(), now=now, everything=True))


def _published(counts: Counts) -> Counts:
    """Put the new checkpoint into the server's log: wherever that is collected, it is kept outside the database."""
    if counts["checkpoints"] and (checkpoint := AuditCheckpoint.objects.order_by("-number").first()):
        log.info("audit log sealed", extra={"checkpoint": checkpoint_document(checkpoint)})
    return counts
