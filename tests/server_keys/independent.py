"""Verifying what the server signed with `http-message-signatures`, which shares no code with it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, algorithms

ORIGIN = "http://testserver"


@dataclass
class Sent:
    method: str
    url: str
    headers: dict[str, str]


@dataclass
class Received:
    request: Sent
    status_code: int
    headers: dict[str, str]


def public_key(jwk: dict[str, Any]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(jwk["x"] + "="))


def verify(response: Any, *, method: str, path: str, keys: dict[str, Ed25519PublicKey], **expect: Any) -> Any:
    """Raises unless the response's signature holds under one of `keys` (by thumbprint)."""
    received = Received(
        Sent(method, ORIGIN + path, {"Host": "testserver"}), response.status_code, dict(response.headers)
    )
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys=keys, private_keys={}),
    )
    expect.setdefault("max_age", timedelta(minutes=1))
    return verifier.verify(received, body=response.content, **expect)
