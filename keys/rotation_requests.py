"""Asking a client to rotate: on the key, in every answer, and once by mail."""

from __future__ import annotations

from datetime import datetime

from accounts.audit import Actor
from keys.decisions import Details, Verb, decide
from keys.models import Key


def request(key: Key, *, actor: Actor, rotate_by: datetime, reason: str = "") -> bool:
    """Ask for the rotation of an active key by `rotate_by`.

    Returns:
        Whether anything changed: a key that shall rotate by then, or sooner, stays as it is.

    Raises:
        KeyStateConflict: the key is not active.
        DecisionForbidden: the operator's role does not allow it.
    """
    if key.rotate_by is not None and key.rotate_by <= rotate_by:
        return False
    details = Details(rotate_by=rotate_by, reason=reason)
    decide(key.pk, Verb.REQUEST_ROTATION, actor=actor, seen=None, details=details)
    return True
