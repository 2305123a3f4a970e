"""Sealing the audit log: batches of events under signed, chained checkpoints.

Appending an event takes no part in this. Sealing runs behind it, and what it relies on is that an
event is visible within an hour of its `created_at` (`LATE`): nothing in this server keeps a
transaction open that long. Events that come later still are sealed by the full pass, and
verification names them, because an event slipped in under an old date looks just the same.

What this cannot show: changes to an event in the minute before it is sealed, and a tail cut off
together with its checkpoints, unless somebody kept one of those (each goes to the server's log).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import rfc8785
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.jobs import Counts
from accounts.leaves import LEAF_COLUMNS, event_leaf, instant
from accounts.merkle import root_hash
from accounts.models import AuditCheckpoint, AuditEvent, AuditSeal

TYPE = "datafold-audit-checkpoint/1"
BATCH = 8192
LATE = timedelta(hours=1)
NO_CHECKPOINT = "0" * 64


class Signer(Protocol):
    """The server key that seals; see `keys.server_keys.ServerSigner`."""

    @property
    def thumbprint(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def jwk(self) -> dict[str, str]: ...

    def sign(self, message: bytes) -> bytes: ...


def seal_events(
    *,
    signer: Signer,
    now: datetime,
    everything: bool = False,
    progress: Callable[[int], None] = lambda events: None,
) -> Counts:
    """Seal every event that is visible and not sealed yet, in batches of at most BATCH.

    Args:
        now: the current time; what was visible then is sealed when this returns.
        everything: look at the whole log for unsealed events, not only behind the last checkpoint.
        progress: called with the number of events so far, after each batch.
    """
    checkpoints = events = after_id = 0
    while True:
        last = AuditCheckpoint.objects.order_by("-number").first()
        since = (
            None if everything or last is None or last.complete_until is None else last.complete_until - LATE
        )
        rows = list(
            unsealed(since).filter(id__gt=after_id).order_by("id").values_list(*LEAF_COLUMNS)[: BATCH + 1]
        )
        exhausted, rows = len(rows) <= BATCH, rows[:BATCH]
        if not rows or not _seal_batch(rows, last=last, signer=signer, now=now, exhausted=exhausted):
            break
        checkpoints, events, after_id = checkpoints + 1, events + len(rows), rows[-1][0]
        progress(events)
        if exhausted:
            break
    return {"checkpoints": checkpoints, "events": events}


def unsealed(since: datetime | None = None) -> QuerySet[AuditEvent]:
    """Events without a seal, of all or with `created_at` from `since` on."""
    events = AuditEvent.objects.filter(~Exists(AuditSeal.objects.filter(event_id=OuterRef("pk"))))
    return events if since is None else events.filter(created_at__gte=since)


def checkpoint_facts(checkpoint: AuditCheckpoint) -> dict[str, Any]:
    """What a checkpoint says, JSON-able: the part that is signed."""
    return {
        "type": TYPE,
        "number": checkpoint.number,
        "batch_size": checkpoint.batch_size,
        "tree_size": checkpoint.tree_size,
        "root": checkpoint.root,
        "previous": checkpoint.previous,
        "sealed_at": instant(checkpoint.sealed_at),
        "complete_until": instant(checkpoint.complete_until) if checkpoint.complete_until else None,
        "keyid": checkpoint.thumbprint,
        "alg": checkpoint.algorithm,
    }


def checkpoint_body(facts: dict[str, Any]) -> bytes:
    """The bytes that are signed, and hashed into the next checkpoint: RFC 8785."""
    return rfc8785.dumps(facts)


def checkpoint_hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(checkpoint_body(facts)).hexdigest()


def _seal_batch(
    rows: list[tuple[Any, ...]],
    *,
    last: AuditCheckpoint | None,
    signer: Signer,
    now: datetime,
    exhausted: bool,
) -> bool:
    """Write one checkpoint with its seals; False if another sealer was first."""
    leaves = [event_leaf(row) for row in rows]
    checkpoint = AuditCheckpoint(
        number=last.number + 1 if last else 1,
        batch_size=len(rows),
        tree_size=len(rows) + (last.tree_size if last else 0),
        root=root_hash(leaves).hex(),
        previous=checkpoint_hash(checkpoint_facts(last)) if last else NO_CHECKPOINT,
        sealed_at=now,
        complete_until=now if exhausted else (last.complete_until if last else None),
        thumbprint=signer.thumbprint,
        jwk=signer.jwk,
        algorithm=signer.algorithm,
    )
    checkpoint.signature = signer.sign(checkpoint_body(checkpoint_facts(checkpoint)))
    try:
        with transaction.atomic():
            # First, so that of two sealers the second waits here and then learns that it lost.
            checkpoint.save(force_insert=True)
            AuditSeal.objects.bulk_create(
                (
                    AuditSeal(event_id=row[0], checkpoint=checkpoint, index=index, leaf_hash=leaf)
                    for index, (row, leaf) in enumerate(zip(rows, leaves, strict=True))
                ),
                batch_size=1000,
            )
    except IntegrityError:
        return False
    return True
