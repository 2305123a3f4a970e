"""Example clients to look at: what an operator finds on a working day. Written by the real services."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import transaction

from accounts.audit import Actor
from accounts.models import Client
from keys import lifecycle
from keys.httpsig import load_public_key
from keys.models import Key, KeyStatus, RevocationReason
from keys.registration import Registration, register

EXAMPLES: list[dict[str, Any]] = [
    {"client_id": "demo-billing", "key_name": "billing, staging", "status": KeyStatus.PENDING},
    {"client_id": "demo-warehouse", "key_name": "nightly import", "status": KeyStatus.PENDING},
    {"client_id": "demo-orders", "key_name": "orders, blue", "status": KeyStatus.ACTIVE},
    {"client_id": "demo-laptop", "key_name": "a lost laptop", "status": KeyStatus.REVOKED},
]


@transaction.atomic
def create_demo() -> list[str]:
    """Register the examples that are not there yet; returns a line for each, with its private key.

    Raises:
        DomainError: these settings do not let one of them in; none is written.
    """
    known = set(Client.objects.filter(client_id__startswith="demo-").values_list("client_id", flat=True))
    lines = [_create(**example) for example in EXAMPLES if example["client_id"] not in known]
    return lines or ["The example clients are there already."]


def _create(*, client_id: str, key_name: str, status: KeyStatus) -> str:
    private_key = Ed25519PrivateKey.generate()
    public_key = load_public_key(private_key.public_key().public_bytes_raw().hex())
    key = register(
        Registration(
            public_key=public_key, client_id=client_id, key_name=key_name, metadata={"example": "true"}
        )
    )
    _bring_to(key, status)
    facts = {
        "client_id": client_id,
        "status": str(key.status),
        "private_key": private_key.private_bytes_raw().hex(),
    }
    return json.dumps(facts)


def _bring_to(key: Key, status: KeyStatus) -> None:
    actor = Actor.system("bootstrap --demo")
    # Under four eyes only operators approve, each by name.
    may_approve = key.status == KeyStatus.PENDING and not settings.DATAFOLD_FOUR_EYES
    if may_approve and status is not KeyStatus.PENDING:
        lifecycle.approve(key, actor=actor, reason="an example")
    if status is KeyStatus.REVOKED:
        lifecycle.revoke(
            key, actor=actor, revocation_reason=RevocationReason.KEY_COMPROMISE, reason="the laptop was lost"
        )
