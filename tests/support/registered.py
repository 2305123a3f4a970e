"""Clients that are in the registry already, made by the same services as always."""

from __future__ import annotations

from typing import Any

from accounts.audit import Actor
from keys import lifecycle
from keys.httpsig import PublicKey, load_public_key
from keys.registration import Registration, register
from tests.support.signing import Signer


def register_pending(client_id: str, **registration: Any) -> Signer:
    """A signer whose key waits for a decision."""
    signer = Signer(client_id)
    register(Registration(public_key=public_key(signer), client_id=client_id, **registration))
    return signer


def register_active(client_id: str, *, scopes: list[str] | None = None, profile: str | None = None) -> Signer:
    """A signer whose key an operator approved."""
    signer = Signer(client_id)
    key = register(Registration(public_key=public_key(signer), client_id=client_id))
    if key.status == "pending":
        lifecycle.approve(key, actor=Actor.system("tests"), scopes=scopes, profile=profile)
    return signer


def public_key(signer: Signer) -> PublicKey:
    return load_public_key(signer.public_hex)
