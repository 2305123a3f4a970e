"""Receipts: the request that wrote a version, kept so that anybody can check it offline.

The stored part is what the columns of the version do not hold; `export_receipt` joins the two.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keys.verification import VerifiedSignature
from project.api.envelope import rfc3339
from schemas.models import SchemaVersion


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: the client and the key that signed, and the proof of it."""

    client_pk: int
    client_id: str
    key_pk: str
    thumbprint: str
    profile: str
    receipt: dict[str, Any]


def author_of(verified: VerifiedSignature, *, received_at: datetime) -> Author:
    """The author of a signed request, with the receipt of this very request."""
    return Author(
        client_pk=verified.client.pk,
        client_id=verified.client.client_id,
        key_pk=verified.key.id,
        thumbprint=verified.key.thumbprint,
        profile=verified.client.profile,
        receipt=build_receipt(verified, received_at=received_at),
    )


def build_receipt(verified: VerifiedSignature, *, received_at: datetime) -> dict[str, Any]:
    """What a receipt says about the request. The signature base is ASCII (RFC 9421 §2.5)."""
    return {
        "client_id": verified.client.client_id,
        "key": {
            "thumbprint": verified.key.thumbprint,
            "algorithm": verified.key.public_key.algorithm,
            "jwk": verified.key.public_key.jwk(),
        },
        "request": {
            "signature_base": verified.base.decode("ascii"),
            "signature_input": f"{verified.signature.label}={verified.signature.params_text}",
            "signature": b64encode(verified.signature.raw_signature).decode("ascii"),
            "label": verified.signature.label,
            "content_digest": verified.message.fields.get("content-digest", ""),
            "body": b64encode(verified.message.body).decode("ascii"),
        },
        "received_at": rfc3339(received_at),
    }


def export_receipt(version: SchemaVersion) -> dict[str, Any] | None:
    """The whole receipt, as `datafold verify-receipt` takes it; None where none was kept."""
    if version.receipt is None:
        return None
    return {
        "schema": version.schema.name,
        "version": version.number,
        "format": version.format,
        "content": version.content,
        "fingerprint": version.fingerprint,
        **version.receipt,
    }
