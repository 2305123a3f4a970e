"""What of an exchange is kept in the delivery log: bounded, and without what lets somebody in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

BODY_BYTES = 2048
REDACTED = "[redacted]"

_KEPT_RESPONSE_FIELDS = frozenset(
    {
        "content-type",
        "content-length",
        "content-encoding",
        "date",
        "retry-after",
        "server",
        "via",
        "x-request-id",
    }
)
_MAX_FIELDS = 30
_MAX_VALUE = 200
# A name that speaks of a secret, then what is assigned to it.
_SECRET = re.compile(
    r"(?i)((?:authorization|cookie|credential|passw(?:or)?d|secret|session|signature|token|api[_-]?key)[\w-]{0,20}"
    r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:(?:bearer|basic)\s)?)[^\s\"',;&<>}]+"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def request_fields_to_keep(fields: Mapping[str, str]) -> dict[str, str]:
    """What was sent, but for the signature itself: it is good for five minutes, in other hands too."""
    return {name: REDACTED if name == "Signature" else value for name, value in fields.items()}


def response_fields_to_keep(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values of harmless fields; of the others only that they were there."""
    kept: dict[str, str] = {}
    for name, value in list(fields)[:_MAX_FIELDS]:
        shown = value if name.lower() in _KEPT_RESPONSE_FIELDS else REDACTED
        kept[plain(name)[:_MAX_VALUE]] = plain(shown)[:_MAX_VALUE]
    return kept


def body_to_keep(body: bytes) -> str:
    """The first 2 KiB as text."""
    return _SECRET.sub(rf"\1{REDACTED}", plain(body[:BODY_BYTES].decode("utf-8", "replace")))


def plain(text: str) -> str:
    """Without control characters, which neither PostgreSQL nor a terminal takes kindly to."""
    return _CONTROL.sub("\ufffd", text)
