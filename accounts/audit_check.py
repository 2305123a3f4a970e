"""Verifying the audit log: every event against its seal, every seal against its checkpoint, and the chain.

Reads each table once, in order, a group of checkpoints at a time, so memory stays flat however long
the log is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from accounts.leaves import LEAF_COLUMNS, event_leaf
from accounts.merkle import root_hash
from accounts.models import AuditCheckpoint, AuditSeal
from accounts.sealing import (
    BATCH,
    LATE,
    NO_CHECKPOINT,
    TYPE,
    checkpoint_body,
    checkpoint_facts,
    checkpoint_hash,
    unsealed,
)
from keys.httpsig import PublicKey, SignatureError, load_public_key

MAX_FINDINGS = 1000
GROUP = 4 * BATCH


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `kind`: edited, deleted, inserted, reordered, tail_cut, checkpoint, key."""

    kind: str
    message: str
    checkpoint: int | None = None
    event: int | None = None


@dataclass(slots=True)
class Report:
    """What was looked at, and what is wrong with it (at most MAX_FINDINGS are kept)."""

    checkpoints: int = 0
    events: int = 0
    unsealed: int = 0
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0

    @property
    def intact(self) -> bool:
        return not self.findings

    def add(
        self, kind: str, message: str, *, checkpoint: int | None = None, event: int | None = None
    ) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(kind, message, checkpoint, event))
        else:
            self.more_findings += 1


def verify_log(
    *,
    vouched_for: Callable[[str], bool],
    kept: Iterable[Mapping[str, Any]] = (),
    progress: Callable[[int], None] = lambda events: None,
) -> Report:
    """Verify the whole log.

    Args:
        vouched_for: whether a thumbprint is one of this server's keys (`keys.server_keys.vouched_for`).
        kept: checkpoint documents that somebody kept outside this database.
        progress: called with the number of events so far, after each group.
    """
    report = Report()
    kept_by_number: dict[Any, list[Mapping[str, Any]]] = {}
    for document in kept:
        kept_by_number.setdefault(document.get("number"), []).append(document)
    keys = _Keys(vouched_for)
    last: AuditCheckpoint | None = None
    for group in _groups():
        before = last
        for checkpoint in group:
            _check_link(checkpoint, last, report)
            _check_signature(checkpoint, keys, report)
            for document in kept_by_number.pop(checkpoint.number, []):
                _check_kept(document, checkpoint, report)
            report.checkpoints += 1
            last = checkpoint
        _check_events(group, before, report)
        progress(report.events)
    for documents in kept_by_number.values():
        _report_cut(documents[0], last, report)
    _check_unsealed(last, report)
    return report


def document_problem(document: Any) -> str:
    """Why a kept checkpoint document cannot be used, as a sentence; "" if its own signature holds."""
    if (
        not isinstance(document, dict)
        or document.get("type") != TYPE
        or not isinstance(document.get("number"), int)
    ):
        return "It is not a checkpoint of an audit log."
    facts = {name: value for name, value in document.items() if name not in ("hash", "signature", "jwk")}
    try:
        public_key = load_public_key(document["jwk"], document["alg"])
        signature = base64.b64decode(document["signature"], validate=True)
        body, digest = checkpoint_body(facts), checkpoint_hash(facts)
    except (KeyError, TypeError, ValueError, binascii.Error, SignatureError):
        return "The checkpoint is damaged: a member is missing or malformed."
    if public_key.thumbprint != document["keyid"] or not public_key.verify(signature, body):
        return "The checkpoint's own signature does not hold: the file was changed."
    if digest != document.get("hash"):
        return "The checkpoint's hash is not that of its content: the file was changed."
    return ""


class _Keys:
    """The public keys of the checkpoints, each judged once."""

    def __init__(self, vouched_for: Callable[[str], bool]) -> None:
        self._vouched_for = vouched_for
        self._known: dict[tuple[str, str], tuple[PublicKey | None, str]] = {}

    def problem(self, checkpoint: AuditCheckpoint) -> str:
        """What is wrong with the checkpoint's signature; "" if it holds under a key of this server."""
        name = (checkpoint.thumbprint, str(checkpoint.jwk))
        if name not in self._known:
            self._known[name] = self._load(checkpoint)
        public_key, problem = self._known[name]
        if public_key is None:
            return problem
        body = checkpoint_body(checkpoint_facts(checkpoint))
        return "" if public_key.verify(bytes(checkpoint.signature), body) else "its signature does not hold"

    def _load(self, checkpoint: AuditCheckpoint) -> tuple[PublicKey | None, str]:
        try:
            public_key = load_public_key(checkpoint.jwk, checkpoint.algorithm)
        except SignatureError:
            return None, "its public key cannot be read"
        if public_key.thumbprint != checkpoint.thumbprint:
            return None, "its public key is not the one that it names"
        if not self._vouched_for(checkpoint.thumbprint):
            return None, f"it is signed by the key {checkpoint.thumbprint}, which is none of this server's"
        return public_key, ""


def _groups() -> Iterator[list[AuditCheckpoint]]:
    """Checkpoints in order, together at most about GROUP events."""
    group: list[AuditCheckpoint] = []
    size = 0
    for checkpoint in AuditCheckpoint.objects.order_by("number").iterator(chunk_size=500):
        if group and (size + checkpoint.batch_size > GROUP or len(group) >= 2000):
            yield group
            group, size = [], 0
        group.append(checkpoint)
        size += checkpoint.batch_size
    if group:
        yield group


def _check_link(checkpoint: AuditCheckpoint, last: AuditCheckpoint | None, report: Report) -> None:
    number = checkpoint.number
    expected = last.number + 1 if last else 1
    if number != expected:
        missing = f"{expected}" if number == expected + 1 else f"{expected} to {number - 1}"
        report.add(
            "deleted",
            f"Checkpoint {missing} was deleted, with the events that it sealed.",
            checkpoint=expected,
        )
        return
    previous = checkpoint_hash(checkpoint_facts(last)) if last else NO_CHECKPOINT
    if checkpoint.previous != previous:
        report.add(
            "checkpoint", f"Checkpoint {number} does not continue the one before it.", checkpoint=number
        )
    if checkpoint.tree_size != checkpoint.batch_size + (last.tree_size if last else 0):
        report.add("checkpoint", f"Checkpoint {number} miscounts the events before it.", checkpoint=number)


def _check_signature(checkpoint: AuditCheckpoint, keys: _Keys, report: Report) -> None:
    if problem := keys.problem(checkpoint):
        report.add(
            "key", f"Checkpoint {checkpoint.number} is not genuine: {problem}.", checkpoint=checkpoint.number
        )


def _check_kept(document: Mapping[str, Any], checkpoint: AuditCheckpoint, report: Report) -> None:
    if document.get("hash") != checkpoint_hash(checkpoint_facts(checkpoint)):
        report.add(
            "checkpoint",
            f"Checkpoint {checkpoint.number} is not the one that was kept: the log was rewritten up to there.",
            checkpoint=checkpoint.number,
        )


def _report_cut(document: Mapping[str, Any], last: AuditCheckpoint | None, report: Report) -> None:
    number, size = document.get("number"), document.get("tree_size")
    have, events = (last.number, last.tree_size) if last else (0, 0)
    report.add(
        "tail_cut",
        f"The tail of the log was cut: checkpoint {number} was kept with {size} sealed events, and the log ends with "
        f"checkpoint {have} and {events} sealed events.",
        checkpoint=have + 1,
    )


def _check_events(group: list[AuditCheckpoint], last: AuditCheckpoint | None, report: Report) -> None:
    """Every event of a group of checkpoints against its seal, and the seals against the roots."""
    columns = ("checkpoint_id", "index", "leaf_hash", *(f"event__{name}" for name in LEAF_COLUMNS))
    rows = (
        AuditSeal.objects.filter(checkpoint_id__gte=group[0].number, checkpoint_id__lte=group[-1].number)
        .order_by("checkpoint_id", "index")
        .values_list(*columns)
        .iterator(chunk_size=2000)
    )
    batches = ((number, list(batch)) for number, batch in groupby(rows, key=lambda row: row[0]))
    number, batch = next(batches, (None, []))
    for checkpoint in group:
        here = number == checkpoint.number
        _check_batch(checkpoint, batch if here else [], last, report)
        if here:
            number, batch = next(batches, (None, []))
        last = checkpoint


def _check_batch(
    checkpoint: AuditCheckpoint, batch: list[Any], last: AuditCheckpoint | None, report: Report
) -> None:
    number = checkpoint.number
    oldest = last.complete_until - LATE if last and last.complete_until else None
    for _, index, sealed_leaf, *row in batch:
        if event_leaf(row) != bytes(sealed_leaf):
            report.add(
                "edited",
                f"Event {row[0]} was changed after it was sealed (leaf {index} of checkpoint {number}).",
                checkpoint=number,
                event=row[0],
            )
        elif oldest is not None and row[1] < oldest:
            report.add(
                "inserted",
                _backdated(row[0], row[1], f"checkpoint {number}"),
                checkpoint=number,
                event=row[0],
            )
    report.events += len(batch)
    indices = [row[1] for row in batch]
    if indices != list(range(checkpoint.batch_size)):
        _report_gaps(checkpoint, set(indices), report)
    elif root_hash(bytes(row[2]) for row in batch).hex() != checkpoint.root:
        _report_root(checkpoint, batch, report)


def _report_gaps(checkpoint: AuditCheckpoint, indices: set[int], report: Report) -> None:
    """Leaves without an event (its seal may still name it), and leaves that were never there."""
    number = checkpoint.number
    named = dict(AuditSeal.objects.filter(checkpoint=number).values_list("index", "event_id"))
    for index in sorted(set(range(checkpoint.batch_size)) - indices):
        event = named.get(index)
        what = f"Event {event} was deleted" if event else "An event was deleted together with its seal"
        report.add(
            "deleted", f"{what} (leaf {index} of checkpoint {number}).", checkpoint=number, event=event
        )
    for index in sorted(index for index in indices if index >= checkpoint.batch_size):
        report.add(
            "inserted",
            f"Event {named.get(index)} was added to checkpoint {number} after it was signed.",
            checkpoint=number,
            event=named.get(index),
        )


def _report_root(checkpoint: AuditCheckpoint, batch: list[Any], report: Report) -> None:
    number = checkpoint.number
    in_order = sorted(batch, key=lambda row: row[3])
    if root_hash(bytes(row[2]) for row in in_order).hex() == checkpoint.root:
        moved = [row[3] for row, other in zip(batch, in_order, strict=True) if row[3] != other[3]]
        for event in moved:
            report.add(
                "reordered",
                f"Event {event} was moved inside checkpoint {number}.",
                checkpoint=number,
                event=event,
            )
        return
    report.add(
        "edited",
        f"Events and seals of checkpoint {number} were changed together: at least one of the events "
        f"{in_order[0][3]} to {in_order[-1][3]} is not what was sealed.",
        checkpoint=number,
    )


def _check_unsealed(last: AuditCheckpoint | None, report: Report) -> None:
    """Events that wait for a seal, and those that are too old to be waiting."""
    report.unsealed = unsealed().count()
    if not report.unsealed or last is None or last.complete_until is None:
        return
    late = unsealed().filter(created_at__lt=last.complete_until - LATE).order_by("id")
    for event, created_at in late.values_list("id", "created_at")[: MAX_FINDINGS + 1]:
        report.add("inserted", _backdated(event, created_at, "no checkpoint yet"), event=event)


def _backdated(event: int, created_at: Any, where: str) -> str:
    return (
        f"Event {event} claims {created_at:%Y-%m-%d %H:%M:%S} UTC and was not there when events of that time were "
        f"sealed ({where}): it was inserted later under an old date."
    )
