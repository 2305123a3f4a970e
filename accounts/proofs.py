"""Proof that an event is in the sealed log, checkable without this server; and the log's export."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from accounts.leaves import LEAF_COLUMNS, event_leaf, leaf_facts
from accounts.merkle import MerkleTree
from accounts.models import AuditCheckpoint, AuditEvent, AuditSeal
from accounts.sealing import checkpoint_facts, checkpoint_hash
from project.errors import DomainError


class AuditEventNotFound(DomainError):
    code = "AUDIT_EVENT_NOT_FOUND"


class AuditEventNotSealed(DomainError):
    """The event is there and waits for the next checkpoint."""

    code = "AUDIT_EVENT_NOT_SEALED"


class AuditLogDamaged(DomainError):
    """The seals do not fit together: somebody changed the database."""

    code = "AUDIT_LOG_DAMAGED"


def checkpoint_document(checkpoint: AuditCheckpoint) -> dict[str, Any]:
    """A checkpoint to keep: what it says, its hash, the signature (base64) and the public key."""
    facts = checkpoint_facts(checkpoint)
    return {
        **facts,
        "hash": checkpoint_hash(facts),
        "signature": base64.b64encode(bytes(checkpoint.signature)).decode("ascii"),
        "jwk": checkpoint.jwk,
    }


def inclusion_proof(event_id: int) -> dict[str, Any]:
    """The event, its place in its batch, the path to the root, and the checkpoint that signs the root.

    Raises:
        AuditEventNotFound, AuditEventNotSealed, AuditLogDamaged
    """
    row = AuditEvent.objects.filter(pk=event_id).values_list(*LEAF_COLUMNS).first()
    if row is None:
        raise AuditEventNotFound(f"There is no audit event {event_id}, or you may not see it.")
    seal = AuditSeal.objects.select_related("checkpoint").filter(event_id=event_id).first()
    if seal is None:
        raise AuditEventNotSealed(
            f"The audit event {event_id} is not sealed yet. Ask again after the next checkpoint; they are made every "
            "minute."
        )
    leaves = (
        AuditSeal.objects.filter(checkpoint=seal.checkpoint)
        .order_by("index")
        .values_list("leaf_hash", flat=True)
    )
    tree = MerkleTree([bytes(leaf) for leaf in leaves])
    return {
        **_proof(row, seal.index, tree),
        "checkpoint": checkpoint_document(seal.checkpoint),
    }


def export(*, first: int = 1, last: int | None = None) -> Iterator[dict[str, Any]]:
    """The sealed log from checkpoint `first` to `last`: each checkpoint, then its events with their paths."""
    checkpoints = AuditCheckpoint.objects.filter(number__gte=first).order_by("number")
    if last is not None:
        checkpoints = checkpoints.filter(number__lte=last)
    for checkpoint in checkpoints.iterator(chunk_size=500):
        yield {"checkpoint": checkpoint_document(checkpoint)}
        seals = AuditSeal.objects.filter(checkpoint=checkpoint).order_by("index")
        tree = MerkleTree([bytes(leaf) for leaf in seals.values_list("leaf_hash", flat=True)])
        columns = ("index", *(f"event__{name}" for name in LEAF_COLUMNS))
        for index, *row in seals.values_list(*columns).iterator(chunk_size=1000):
            yield {**_proof(row, index, tree), "checkpoint_number": checkpoint.number}


def _proof(row: Any, index: int, tree: MerkleTree) -> dict[str, Any]:
    try:
        path = tree.path(index)
    except IndexError as error:
        raise AuditLogDamaged(
            f"The seals of the audit log do not fit together around event {row[0]}. Operators: run "
            "`manage.py verify_audit_log`."
        ) from error
    return {
        "event": leaf_facts(row),
        "leaf_hash": event_leaf(row).hex(),
        "index": index,
        "path": [node.hex() for node in path],
    }
