"""Which key a person means: by client_id, registration_id or the beginning of a thumbprint."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Collection
from typing import Any

from accounts.models import Client
from keys.errors import KeysError
from keys.models import Key, KeyStatus

MAX_CANDIDATES = 10


class KeyNameUnknown(KeysError):
    """No key answers to the name; `candidates` are those that come near."""

    code = "KEY_NOT_FOUND"

    def __init__(self, message: str, candidates: list[Key], **details: Any) -> None:
        super().__init__(message, **details)
        self.candidates = candidates


class KeyNameAmbiguous(KeyNameUnknown):
    """Several keys answer to the name: `candidates`."""

    code = "KEY_AMBIGUOUS"


def find_key(
    name: str, *, among: Collection[KeyStatus] = tuple(KeyStatus), already: KeyStatus | None = None
) -> Key:
    """The one key that `name` means.

    Args:
        name: client_id, registration_id, or a thumbprint's first characters (four or more).
        among: the states of the keys that the caller can act on; they come before all others.
        already: the state that the caller leads to; a key in it is found where no other is, so
            that a command given twice finds the same key twice.

    Raises:
        KeyNameUnknown, KeyNameAmbiguous: with the candidates.
    """
    found = _answering_to(name)
    if not found:
        raise KeyNameUnknown(f"No key answers to {name!r}.", _near(name, among))
    for wanted in (set(among), {already}, set(KeyStatus)):
        fitting = [key for key in found if key.status in wanted]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise KeyNameAmbiguous(
                f"{name!r} means {len(fitting)} keys. Name one by its registration_id.", fitting
            )
    raise AssertionError("a key has a status")  # pragma: no cover


def _answering_to(name: str) -> list[Key]:
    """A whole registration_id or thumbprint is exact. A client_id never outranks a prefix, nor the
    other way round: both can be chosen by whoever registers, so a clash is ambiguous."""
    keys = Key.objects.select_related("client", "decided_by")
    number = _as_uuid(name)
    exact = keys.filter(thumbprint=name) if number is None else keys.filter(pk=number)
    if key := exact.first():
        return [key]
    # SQLite's LIKE ignores case; thumbprints do not.
    named = keys.named(name).order_by("-registered_at")[: 10 * MAX_CANDIDATES]
    return [key for key in named if key.client.client_id == name or key.thumbprint.startswith(name)]


def _as_uuid(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None


def _near(name: str, among: Collection[KeyStatus]) -> list[Key]:
    """Keys of clients whose id resembles `name`; else the newest that the caller could act on."""
    keys = Key.objects.select_related("client").order_by("-registered_at")
    ids = Client.objects.filter(client_id__istartswith=name[:2]).values_list("client_id", flat=True)[:1000]
    if similar := difflib.get_close_matches(name, list(ids), n=MAX_CANDIDATES):
        return list(keys.filter(client__client_id__in=similar)[:MAX_CANDIDATES])
    return list(keys.filter(status__in=list(among))[:MAX_CANDIDATES])
