"""Keys in the states that jobs look for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.audit import Actor
from keys import rotation
from keys.httpsig import load_public_key
from keys.models import Key
from tests.support.registered import register_active, register_pending
from tests.support.signing import Signer


def key_of(client_id: str) -> Key:
    return Key.objects.select_related("client").filter(client__client_id=client_id).earliest("registered_at")


def pending(client_id: str, **columns: Any) -> Key:
    register_pending(client_id)
    return _with(client_id, columns)


def active(client_id: str, *, email: str = "", **columns: Any) -> Key:
    register_active(client_id)
    key = _with(client_id, columns)
    key.client.contact_email = email
    key.client.save()
    return key


def rotated(client_id: str, *, grace: timedelta = timedelta(days=1)) -> tuple[Key, Key]:
    """The retiring key and its successor."""
    old = active(client_id)
    successor = rotation.rotate(
        old, public_key=load_public_key(Signer().public_hex), actor=Actor.client(old.client), grace=grace
    )
    old.refresh_from_db()
    return old, successor


def set_columns(key: Key, **columns: Any) -> None:
    """What only time, or traffic, would bring about."""
    Key.objects.filter(pk=key.pk).update(**columns)
    key.refresh_from_db()


def ago(**delta: float) -> Any:
    return timezone.now() - timedelta(**delta)


def _with(client_id: str, columns: dict[str, Any]) -> Key:
    key = key_of(client_id)
    if columns:
        set_columns(key, **columns)
    return key
