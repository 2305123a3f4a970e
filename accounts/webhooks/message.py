"""The request of a delivery: its body, and the fields that sign it (RFC 9421, RFC 9530)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from accounts.webhooks.targets import Target
from keys.httpsig import PrivateKey, Request, content_digest, sign

LABEL = "sig1"
TAG = "datafold-webhook"
COMPONENTS = ("@method", "@target-uri", "content-digest", "content-type")
LIFETIME_SECONDS = 300


class Signer(Protocol):
    """A key of the server; see `keys.server_keys.ServerSigner`."""

    @property
    def thumbprint(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def private_key(self) -> PrivateKey: ...


def event_body(*, event_id: str, event_type: str, created_at: str, data: Mapping[str, Any]) -> str:
    """What the receiver gets. `event_id` is the same in every delivery of the event."""
    body = {"id": event_id, "type": event_type, "created_at": created_at, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def request_fields(
    target: Target,
    body: bytes,
    *,
    event_type: str,
    delivery_id: str,
    signer: Signer,
    now: int,
    nonce: str,
    user_agent: str,
) -> dict[str, str]:
    """The header fields of one attempt; each attempt is signed anew.

    Args:
        now: seconds since the epoch, the signature's `created`.
        nonce: random, never used before.
    """
    fields = {
        "Host": target.authority,
        "User-Agent": user_agent,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Content-Digest": content_digest(body),
        "DataFold-Event": event_type,
        "DataFold-Delivery": delivery_id,
    }
    request = Request(
        method="POST",
        raw_target=target.raw_target,
        scheme=target.scheme,
        authority=target.authority,
        fields={name.lower(): value for name, value in fields.items()},
        body=body,
    )
    signature_input, signature = sign(
        request,
        label=LABEL,
        components=COMPONENTS,
        params={
            "created": now,
            "expires": now + LIFETIME_SECONDS,
            "keyid": signer.thumbprint,
            "alg": signer.algorithm,
            "nonce": nonce,
            "tag": TAG,
        },
        private_key=signer.private_key,
    )
    return {**fields, "Signature-Input": signature_input, "Signature": signature}
