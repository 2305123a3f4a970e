"""What is fuzzed: each target takes hostile text and raises only where it has found a mistake of ours.

Text of several parts is cut at line feeds; a missing part is empty.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from keys.httpsig import (
    PROFILES,
    Limits,
    Request,
    SignatureError,
    StructuredFieldError,
    check_digest,
    content_digest,
    inspect,
    load_public_key,
    normalise_authority,
    parse_accept_signature,
    parse_signatures,
    sf,
    verify,
)
from keys.httpsig.signatures import parse_general
from tests.httpsig.support import NOW, keys_for, parse_outcome

Target = Callable[[str], None]

STANDARD = PROFILES["standard"]
WRONG_SIGNATURE = f"sig1=:{'A' * 86}==:"
COVERED = '("@method" "@target-uri" "content-digest" "content-type")'
PARAMS = f';created={NOW};keyid="orders";nonce="b2Vb0yTq3mJ8aZk1vXc7Lw";alg="ed25519";tag="datafold"'


def structured_fields(text: str) -> None:
    """What parses survives serialisation, as each of the three types."""
    with contextlib.suppress(StructuredFieldError):
        dictionary = sf.parse_dictionary(text)
        assert sf.parse_dictionary(sf.serialize_dictionary(dictionary), unique=True) == dictionary
    with contextlib.suppress(StructuredFieldError):
        members = sf.parse_list(text)
        assert sf.parse_list(sf.serialize_list(members)) == members
    with contextlib.suppress(StructuredFieldError):
        item = sf.parse_item(text)
        assert sf.parse_item(sf.serialize_member(item)) == item


def signature_fields(text: str) -> None:
    """The short way of parsing the two fields gives what the general one gives."""
    signature_input, signature = _parts(text, 2)
    fields = {"signature-input": signature_input, "signature": signature}
    try:
        message = Request(method="GET", raw_target="/", scheme="https", authority="a", fields=fields)
    except SignatureError:
        return
    assert parse_outcome(lambda: parse_signatures(message, Limits())) == parse_outcome(
        lambda: parse_general(signature_input, signature, Limits())
    )


def request(text: str) -> None:
    """No request that nobody signed is let in, and explaining it raises nothing."""
    signature_input, signature, target, name, value = _parts(text, 5)
    fields = {
        "signature-input": f"sig1={signature_input or COVERED + PARAMS}",
        "signature": signature or WRONG_SIGNATURE,
        "content-type": "application/json",
        "content-digest": content_digest(b"{}"),
        name: value,
    }
    try:
        message = Request(
            method="POST", raw_target=f"/{target}", scheme="https", authority="a", fields=fields, body=b"{}"
        )
    except SignatureError:
        return
    assert not inspect(message, policy=STANDARD, keys_for=keys_for, now=NOW).verified
    try:
        verify(message, policy=STANDARD, keys_for=keys_for, now=NOW)
    except SignatureError:
        return
    raise AssertionError("a signature was accepted that nobody made")


def components(text: str) -> None:
    """Lists of components that do parse reach the resolvers, the base and the search for a cause."""
    covered, query, value = _parts(text, 3)
    request("\n".join((f'("@method" "@target-uri" {covered}){PARAMS}', "", f"path?{query}", "x", value)))


def messages(text: str) -> None:
    """Method, target, host and one field line, as they might come over the wire."""
    method, target, host, name, value = _parts(text, 5)
    with contextlib.suppress(SignatureError):
        Request.from_lines(
            method=method, raw_target=target, scheme="https", lines=[("Host", host), (name, value)]
        )
    with contextlib.suppress(SignatureError):
        authority = normalise_authority(host, "https")
        assert normalise_authority(authority, "https") == authority


def fields(text: str) -> None:
    """Accept-Signature and Content-Digest."""
    with contextlib.suppress(SignatureError):
        parse_accept_signature(text)
    with contextlib.suppress(SignatureError):
        check_digest(text, b"body")


def public_keys(text: str) -> None:
    """Hexadecimal, PEM and the members of a JWK."""
    members = _parts(text, 3)
    candidates = (
        text,
        f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----",
        {"kty": "OKP", "crv": "Ed25519", "x": text},
        {"kty": "EC", "crv": members[0], "x": members[1], "y": members[2]},
        {"kty": "RSA", "n": members[0], "e": members[1]},
    )
    for candidate in candidates:
        with contextlib.suppress(SignatureError):
            load_public_key(candidate)


TARGETS: dict[str, Target] = {
    target.__name__.replace("_", "-"): target
    for target in (structured_fields, signature_fields, request, components, messages, fields, public_keys)
}


def _parts(text: str, count: int) -> list[str]:
    parts = text.split("\n", count - 1)
    return parts + [""] * (count - len(parts))
