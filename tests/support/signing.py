"""An independent signer: `http-message-signatures` and nothing of ours, neither server nor SDK."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms

REQUIRED = ("@method", "@target-uri")
REQUIRED_WITH_BODY = (*REQUIRED, "content-type", "content-digest")


@dataclass
class Message:
    """What the library signs: a request with an absolute URL."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass
class SignedRequest:
    """A request ready to be sent, by any client, once or twice or tampered with."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes = b""


@dataclass
class Signer:
    """One key under the `keyid` that it signs with.

    Args:
        key_id: the client_id or a thumbprint.
    """

    key_id: str = ""
    private_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public_hex(self) -> str:
        return self.private_key.public_key().public_bytes_raw().hex()

    def sign(
        self,
        method: str,
        url: str,
        *,
        json_body: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        covered: Sequence[str] | None = None,
        created: datetime | None = None,
        nonce: str | None = None,
        **parameters: Any,
    ) -> SignedRequest:
        """Sign a request as the standard profile wants it, unless the arguments say otherwise.

        Args:
            url: absolute, as the server shall see it.
            json_body, content: the body, as a value or as bytes; at most one of them.
            covered: component names; by default what the standard profile requires.
            created: by default now. nonce: by default a fresh one; "" for none.
            parameters: passed on to `HTTPMessageSigner.sign` (expires, label, tag, include_alg, …).
        """
        if json_body is not None:
            content = json.dumps(json_body).encode()
        message = Message(method, url, dict(headers or {}))
        if content is not None:
            message.headers.setdefault("Content-Type", "application/json")
            message.headers.setdefault("Content-Digest", content_digest(content))
        HTTPMessageSigner(
            signature_algorithm=algorithms.ED25519,
            key_resolver=MappingKeyResolver(public_keys={}, private_keys={self.key_id: self.private_key}),
        ).sign(
            message,
            key_id=self.key_id,
            created=created or datetime.now(UTC),
            nonce=(secrets.token_urlsafe(18) if nonce is None else nonce) or None,
            covered_component_ids=covered or (REQUIRED if content is None else REQUIRED_WITH_BODY),
            use_existing_digest=content is not None,
            **parameters,
        )
        return SignedRequest(method, url, message.headers, content or b"")


def content_digest(content: bytes) -> str:
    """RFC 9530's field value."""
    return f"sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:"
