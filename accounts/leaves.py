"""What exactly is sealed of an event: every column, as canonical JSON (RFC 8785)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import rfc8785

from accounts.merkle import leaf_hash

# Frozen: a column that is added later joins a leaf of version 2, or old leaves would change.
LEAF_VERSION = 1
LEAF_COLUMNS = (
    "id",
    "created_at",
    "actor_kind",
    "actor_id",
    "actor_label",
    "actor_key",
    "action",
    "target_kind",
    "target_id",
    "target_label",
    "before",
    "after",
    "reason",
    "request_id",
    "address",
)

_MAX_EXACT = 2**53 - 1
# Of what `_is_plain` lets through, this writes the same bytes as RFC 8785 asks for, five times faster.
_encode_plain = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def leaf_facts(row: Sequence[Any]) -> dict[str, Any]:
    """The sealed facts of an event from its LEAF_COLUMNS, JSON-able; time in UTC with microseconds."""
    facts: dict[str, Any] = dict(zip(LEAF_COLUMNS, row, strict=True))
    facts["created_at"] = instant(facts["created_at"])
    facts["leaf_version"] = LEAF_VERSION
    return facts


def leaf_data(row: Sequence[Any]) -> bytes:
    """The leaf of an event from its LEAF_COLUMNS. Never fails: whatever is stored can be sealed."""
    facts = leaf_facts(row)
    if _is_plain(facts["before"]) and _is_plain(facts["after"]):
        try:
            return _encode_plain(facts).encode("utf-8")
        except UnicodeEncodeError:  # a lone surrogate
            pass
    return rfc8785.dumps({name: _canonical(value) for name, value in facts.items()})


def event_leaf(row: Sequence[Any]) -> bytes:
    """The leaf hash of an event from its LEAF_COLUMNS: 32 bytes."""
    return leaf_hash(leaf_data(row))


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _canonical(value: Any) -> Any:
    """The value itself; one that RFC 8785 has no bytes for (a number over 2⁵³, half a character) as a text."""
    try:
        rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return {"$json": json.dumps(value, sort_keys=True)}
    return value


def _is_plain(value: Any) -> bool:
    match value:
        case None | bool():
            return True
        case int():
            return -_MAX_EXACT <= value <= _MAX_EXACT
        case str():
            return True
        case list():
            return all(map(_is_plain, value))
        case dict():
            # Other keys sort by UTF-16 code units in RFC 8785 and by code points in Python.
            return all(map(str.isascii, value)) and all(map(_is_plain, value.values()))
    return False
