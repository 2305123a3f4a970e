"""What operators decide about schemas. Each decision is one compare-and-swap and one audit event.

::

    available ──approve──▶ approved ──deprecate──▶ deprecated ──approve──▶ approved
        └──────────────deprecate──────────────────────▲
    any of them ──block──▶ blocked ──unblock──▶ available
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.models import Client
from schemas import access
from schemas.epoch import advance_epoch
from schemas.errors import SchemaInvalid, SchemaStateConflict
from schemas.models import Schema, SchemaReference, SchemaState, SchemaVersion
from schemas.registry import refuse_if_referenced

MAX_BREAK_GLASS = timedelta(days=7)

_FROM: dict[str, frozenset[SchemaState]] = {
    "approve": frozenset({SchemaState.AVAILABLE, SchemaState.DEPRECATED}),
    "deprecate": frozenset({SchemaState.AVAILABLE, SchemaState.APPROVED}),
    "block": frozenset({SchemaState.AVAILABLE, SchemaState.APPROVED, SchemaState.DEPRECATED}),
    "unblock": frozenset({SchemaState.BLOCKED}),
}


def approve(schema: Schema, *, actor: Actor, reason: str = "") -> Schema:
    """Say that the schema is the one to use. Raises `SchemaStateConflict`."""
    return _decide(schema, "approve", SchemaState.APPROVED, actor=actor, reason=reason)


def deprecate(
    schema: Schema, *, actor: Actor, on: date, successor: Schema | None = None, reason: str = ""
) -> Schema:
    """Announce that the schema goes out of use on a date, and what to use instead.

    It is still served. Raises `SchemaStateConflict`, or `SchemaInvalid` for a successor that is none.
    """
    if successor is not None and (successor.pk == schema.pk or successor.deleted_at is not None):
        raise SchemaInvalid("The successor must be another schema that is not deleted.", problems=[])
    facts = {"deprecated_on": on, "deprecated_for": successor}
    return _decide(schema, "deprecate", SchemaState.DEPRECATED, actor=actor, reason=reason, **facts)


def block(schema: Schema, *, actor: Actor, reason: str) -> Schema:
    """Stop serving the schema and taking versions; every reader is told the reason.

    Raises `SchemaStateConflict`, or `SchemaInvalid` without a reason.
    """
    _need_reason(reason, "Readers are shown why a schema is blocked")
    return _decide(schema, "block", SchemaState.BLOCKED, actor=actor, reason=reason)


def unblock(schema: Schema, *, actor: Actor, reason: str = "") -> Schema:
    """Serve the schema again. Raises `SchemaStateConflict`."""
    return _decide(schema, "unblock", SchemaState.AVAILABLE, actor=actor, reason=reason)


def approve_version(version: SchemaVersion, *, actor: Actor, reason: str = "") -> SchemaVersion:
    """Let a version be served where versions need approval. Raises `SchemaStateConflict`."""
    with transaction.atomic():
        schema = _lock(version.schema)
        decided = SchemaVersion.objects.filter(pk=version.pk, approved_at__isnull=True).update(
            approved_at=timezone.now(), approved_by=actor.user
        )
        if not decided:
            raise SchemaStateConflict(f"The version {version} is approved already.")
        _serve_newest(schema)
        _record(schema, actor, "schema.version_approved", after={"number": version.number}, reason=reason)
    version.refresh_from_db()
    return version


def require_approval(schema: Schema, *, actor: Actor, required: bool, reason: str = "") -> Schema:
    """Say whether a new version needs approval before it is served.

    What is served now stays served: switching it on approves the versions that there are.
    """
    with transaction.atomic():
        schema = _lock(schema)
        if schema.versions_need_approval == required:
            raise SchemaStateConflict(f"That is how the schema {schema.name} is set already.")
        if required:
            access.living_versions(schema).filter(approved_at__isnull=True).update(
                approved_at=timezone.now(), approved_by=actor.user
            )
        schema.versions_need_approval = required
        schema.save(update_fields=["versions_need_approval", "updated_at"])
        _serve_newest(schema)
        _record(schema, actor, "schema.approval_required", after={"required": required}, reason=reason)
    return schema


def break_glass(schema: Schema, *, actor: Actor, until: datetime, reason: str) -> Schema:
    """Let incompatible versions through until a time; `until` in the past ends it.

    Raises:
        SchemaInvalid: no reason, or a time more than seven days ahead.
    """
    _need_reason(reason, "Whoever opens the way for incompatible versions says why")
    now = timezone.now()
    if until > now + MAX_BREAK_GLASS:
        raise SchemaInvalid(
            f"Break-glass lasts at most {MAX_BREAK_GLASS.days} days. Choose an earlier end.", problems=[]
        )
    with transaction.atomic():
        schema = _lock(schema)
        before = schema.break_glass_until
        schema.break_glass_until = until if until > now else None
        schema.save(update_fields=["break_glass_until", "updated_at"])
        _record(
            schema,
            actor,
            "schema.break_glass_opened" if until > now else "schema.break_glass_closed",
            before={"until": before.isoformat() if before else None},
            after={"until": until.isoformat() if until > now else None},
            reason=reason,
        )
    return schema


def give_to(schema: Schema, *, actor: Actor, owner: Client, reason: str = "") -> Schema:
    """Make another client the owner."""
    with transaction.atomic():
        schema = _lock(schema)
        before = access.owner_label(schema)
        schema.owner = owner
        schema.save(update_fields=["owner", "updated_at"])
        _record(
            schema,
            actor,
            "schema.owner_changed",
            before={"owner": before},
            after={"owner": owner.client_id},
            reason=reason,
        )
        advance_epoch()
    return schema


def erase(schema: Schema, *, actor: Actor, reason: str) -> None:
    """Delete a schema for good, with its versions and receipts; the name is free again.

    Raises:
        SchemaReferenced: others refer to it.
        SchemaInvalid: no reason.
    """
    _need_reason(reason, "What is erased cannot be proven any more, so it takes a reason")
    with transaction.atomic():
        schema = _lock(schema)
        refuse_if_referenced(schema)
        _refuse_hidden_references(schema)
        fingerprints = list(schema.versions.order_by("number").values_list("fingerprint", flat=True))
        _record(schema, actor, "schema.erased", before={"fingerprints": fingerprints[:200]}, reason=reason)
        SchemaReference.objects.filter(source__schema=schema).delete()
        schema.versions.all().delete()
        schema.delete()
        advance_epoch()


def _refuse_hidden_references(schema: Schema) -> None:
    """Deleted schemas may be taken up again, and old versions are proofs: their references count, too."""
    hidden = SchemaReference.objects.filter(target__schema=schema).exclude(source__schema=schema)
    names = sorted(
        {f"{row.source.schema.name}/{row.source.number}" for row in hidden.select_related("source__schema")}
    )
    if names:
        raise SchemaStateConflict(
            f"Deleted schemas still refer to {schema.name}: {', '.join(names[:5])}. Erase those first.",
            referenced_by=names[:100],
        )


def _decide(
    schema: Schema, decision: str, state: SchemaState, *, actor: Actor, reason: str, **facts: Any
) -> Schema:
    before = schema.state
    if before not in _FROM[decision]:
        raise _conflict(schema, decision)
    changes: dict[str, Any] = {
        "state": state,
        "state_reason": reason[:500],
        "state_changed_by": actor.user,
        "state_changed_at": timezone.now(),
        "updated_at": timezone.now(),
        "deprecated_on": None,
        "deprecated_for": None,
        **facts,
    }
    with transaction.atomic():
        if not Schema.objects.filter(pk=schema.pk, state=before).update(**changes):
            raise _conflict(schema, decision)
        _record(
            schema,
            actor,
            f"schema.{'unblocked' if decision == 'unblock' else state.value}",
            before={"state": before},
            after={"state": state.value, **{name: str(fact) for name, fact in facts.items() if fact}},
            reason=reason,
        )
        advance_epoch()
    schema.refresh_from_db()
    return schema


def _conflict(schema: Schema, decision: str) -> SchemaStateConflict:
    leads_from = " or ".join(sorted(_FROM[decision]))
    return SchemaStateConflict(
        f"To {decision} the schema {schema.name} it must be {leads_from}, and it is not any more. Reload and decide "
        "again.",
        state=schema.state,
    )


def _lock(schema: Schema) -> Schema:
    return Schema.objects.select_for_update().get(pk=schema.pk)


def _serve_newest(schema: Schema) -> None:
    newest = access.served_versions(schema).order_by("-number").first()
    schema.served_number = newest.number if newest else 0
    schema.served_format = newest.format if newest else ""
    schema.save(update_fields=["served_number", "served_format", "updated_at"])
    advance_epoch()


def _need_reason(reason: str, why: str) -> None:
    if not reason.strip():
        raise SchemaInvalid(f"{why}: give a reason.", problems=[])


def _record(
    schema: Schema,
    actor: Actor,
    action: str,
    *,
    reason: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    record_event(
        actor=actor,
        action=action,
        target_kind="schema",
        target_id=str(schema.pk),
        target_label=schema.name,
        before=before,
        after=after,
        reason=reason,
    )


def pending_versions(schemas: Iterable[Schema] | None = None) -> Any:
    """Versions that wait for approval, oldest first."""
    waiting = SchemaVersion.objects.filter(
        approved_at__isnull=True,
        schema__versions_need_approval=True,
        schema__deleted_at__isnull=True,
    )
    if schemas is not None:
        waiting = waiting.filter(schema__in=schemas)
    return waiting.select_related("schema", "author").order_by("created_at")
