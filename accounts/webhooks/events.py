"""The types of event, and which audit event makes which."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

TEST = "webhook.test"
EXPIRING = "key.expiring"
PENDING = "key.pending"
EVERYTHING = "*"

# What each type says to its reader; in the order in which the documents list them.
TYPES: dict[str, str] = {
    PENDING: "A registration waits for a decision. Operators only.",
    "key.registered": "A key was registered and is active at once, by policy or by an enrolment token.",
    "key.approved": "An operator approved a key: it verifies from now on.",
    "key.rejected": "An operator refused a registration, or nobody decided in time.",
    EXPIRING: "An active key has 30, 7 or 1 days left.",
    "key.suspended": "A key does not verify until it is reactivated.",
    "key.reactivated": "A suspended key verifies again.",
    "key.rotation_requested": "The operators ask for a new key by a date.",
    "key.rotated": "A new key took over; the old one retires after its grace.",
    "key.retiring": "A key verifies only until its grace is over.",
    "key.rolled_back": "A retiring key is active again.",
    "key.retired": "A rotated key does not verify any more.",
    "key.expired": "A key reached its end.",
    "key.revoked": "A key is revoked, for good.",
    "key.compromised": "What a key signed since a time is suspect, though it verified no more when that came out.",
    "client.created": "An operator added a client. Operators only.",
    "client.changed": "Scopes, profile, networks, limit or contact of a client changed.",
    "client.suspended": "None of a client's keys verifies until it is reactivated.",
    "client.reactivated": "A suspended client's keys count again.",
    "schema.created": "A schema was registered, with its first version.",
    "schema.version_created": "A schema has a further version.",
    "schema.version_approved": "A version that waited for approval is served.",
    "schema.updated": "Description, compatibility or writers of a schema changed.",
    "schema.owner_changed": "A schema belongs to another client.",
    "schema.approved": "An operator approved a schema.",
    "schema.blocked": "A schema must not be used any more.",
    "schema.unblocked": "A blocked schema may be used again.",
    "schema.deprecated": "A schema is on its way out; it may name its successor.",
    "schema.deleted": "A schema was taken out of use.",
}
OPERATORS_ONLY = frozenset({PENDING, "client.created"})

# Audit actions whose type of event has another name.
_RENAMED = {"schema.version_added": "schema.version_created"}
_FAMILIES = frozenset(f"{name.partition('.')[0]}.*" for name in TYPES)

ACTIONS: frozenset[str] = frozenset({*TYPES, *_RENAMED} - {PENDING, EXPIRING})


def type_of(action: str, after: Mapping[str, Any] | None) -> str | None:
    """The type of event that an audit event makes; None if webhooks do not tell of it."""
    if action not in ACTIONS:
        return None
    if action == "key.registered" and (after or {}).get("status") == "pending":
        return PENDING
    return _RENAMED.get(action, action)


def is_wanted(event_type: str, patterns: Collection[str]) -> bool:
    """Whether a subscription to `patterns` ("key.approved", "key.*", "*") gets events of the type."""
    return event_type in patterns or EVERYTHING in patterns or f"{event_type.partition('.')[0]}.*" in patterns


def may_be_told_to_client(event_type: str) -> bool:
    return event_type not in OPERATORS_ONLY


def pattern_problem(pattern: object, *, for_client: bool) -> str:
    """Why nobody (or no client) can subscribe to `pattern`, as a sentence; "" if they can."""
    if not isinstance(pattern, str) or (
        pattern not in TYPES and pattern not in _FAMILIES and pattern != EVERYTHING
    ):
        return (
            f"{str(pattern)[:40]!r} is no event. Choose of {', '.join(TYPES)}, a family such as key.*, or *."
        )
    if for_client and pattern in OPERATORS_ONLY:
        return f"{pattern} is told to operators only."
    return ""
