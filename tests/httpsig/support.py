"""Signed requests for the engine's tests, made by the engine's own signer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keys.httpsig import (
    PrivateKey,
    PublicKey,
    Request,
    SignatureError,
    UnverifiedSignature,
    content_digest,
    sign,
)

NOW = 1_700_000_000
AUTHORITY = "api.example.com"
PRIVATE_KEY = PrivateKey.generate("ed25519")
DEFAULT_PARAMS: Mapping[str, Any] = {
    "created": NOW - 10,
    "keyid": "orders",
    "alg": "ed25519",
    "nonce": "b2Vb0yTq3mJ8aZk1vXc7Lw",
    "tag": "datafold",
}


@dataclass(frozen=True)
class StoredKey:
    public_key: PublicKey


KEYS = [StoredKey(PRIVATE_KEY.public_key)]


def keys_for(keyid: str) -> list[StoredKey]:
    return KEYS if keyid == "orders" else []


def make_request(
    method: str = "GET",
    raw_target: str = "/api/v1/schemas?limit=5",
    *,
    fields: Mapping[str, str] | None = None,
    body: bytes = b"",
    scheme: str = "https",
    authority: str = AUTHORITY,
) -> Request:
    """An unsigned request; one with a body declares its digest and type."""
    all_fields = {"host": authority, **(fields or {})}
    if body:
        all_fields.setdefault("content-type", "application/json")
        all_fields.setdefault("content-digest", content_digest(body))
        all_fields.setdefault("content-length", str(len(body)))
    return Request(
        method=method, raw_target=raw_target, scheme=scheme, authority=authority, fields=all_fields, body=body
    )


def changed(request: Request, **changes: Any) -> Request:
    """The same request with some attributes replaced."""
    names = ("method", "raw_target", "scheme", "authority", "fields", "body")
    return Request(**{name: changes.get(name, getattr(request, name)) for name in names})


def signed(
    request: Request,
    *,
    components: Sequence[str] | None = None,
    label: str = "sig1",
    private_key: PrivateKey = PRIVATE_KEY,
    **params: Any,
) -> Request:
    """``request`` with one more signature; a parameter given as None is left out."""
    if components is None:
        components = ["@method", "@target-uri"]
        if request.has_body:
            components = [*components, "content-digest", "content-type"]
    chosen = {name: value for name, value in {**DEFAULT_PARAMS, **params}.items() if value is not None}
    signature_input, signature = sign(
        request, label=label, components=components, params=chosen, private_key=private_key
    )
    fields = dict(request.fields)
    for name, value in (("signature-input", signature_input), ("signature", signature)):
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return changed(request, fields=fields)


def parse_outcome(parse: Callable[[], list[UnverifiedSignature]]) -> Any:
    """What parsing gives, in comparable values; the code where it is refused."""
    try:
        signatures = parse()
    except SignatureError as error:
        return error.code
    return [
        (each.label, each.params_text, each.unverified_params, each.raw_signature, each.created, each.expires,
         each.nonce, each.alg, each.keyid, each.tag, [c.text for c in each.components], each.components.plain)
        for each in signatures
    ]  # fmt: skip
