"""Checking receipts here, from what is stored: does each version still have its author's signature?

`datafold verify-receipt` checks the same from an exported receipt and shares no code with this.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from keys.httpsig import PublicKey, SignatureError, check_digest, load_public_key
from schemas.documents import read_document
from schemas.errors import SchemaInvalid
from schemas.models import SchemaVersion
from schemas.suspects import is_suspect

MAX_CLOCK_DISTANCE_S = 720
"""The widest window of any profile plus its clock skew."""

_CREATED = re.compile(r";created=(\d{1,15})(?:;|$)")
_KEYID = re.compile(r';keyid="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a receipt: what it is called, whether it passed, one sentence."""

    name: str
    passed: bool
    message: str


@dataclass(frozen=True, slots=True)
class Proof:
    """All checks of one version's receipt; none where it was written without authentication."""

    checks: tuple[Check, ...]
    suspect: bool

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def verdict(self) -> str:
        """ "verified", "suspect" (it holds, and the key was compromised), "broken" or "unsigned"."""
        if not self.checks:
            return "unsigned"
        if not self.holds:
            return "broken"
        return "suspect" if self.suspect else "verified"


class _BrokenError(Exception):
    """A check failed, for this reason."""


def prove(version: SchemaVersion) -> Proof:
    """Check the receipt of `version` against its content. Never raises, whatever the receipt holds."""
    receipt = version.receipt
    if receipt is None:
        return Proof((), suspect=False)
    steps: tuple[tuple[str, Callable[[SchemaVersion, Mapping[str, Any]], str]], ...] = (
        ("key", _check_key),
        ("signature", _check_signature),
        ("signer", _check_signer),
        ("body", _check_body),
        ("request", _check_request),
        ("content", _check_content),
        ("time", _check_time),
    )
    checks = tuple(_run(name, step, version, receipt) for name, step in steps)
    return Proof(checks, suspect=is_suspect(version))


def _run(
    name: str,
    step: Callable[[SchemaVersion, Mapping[str, Any]], str],
    version: SchemaVersion,
    receipt: Mapping[str, Any],
) -> Check:
    try:
        return Check(name, True, step(version, receipt))
    except _BrokenError as broken:
        return Check(name, False, str(broken))
    except (SignatureError, SchemaInvalid) as refused:
        return Check(name, False, refused.message)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        return Check(name, False, f"The receipt is malformed ({type(error).__name__}).")


def _check_key(version: SchemaVersion, receipt: Mapping[str, Any]) -> str:
    key = _key(receipt)
    if key.thumbprint != receipt["key"]["thumbprint"]:
        raise _BrokenError(f"The key in the receipt is {key.thumbprint}, not the one stated.")
    registered = version.author_key
    if registered is not None and registered.thumbprint != key.thumbprint:
        raise _BrokenError(
            f"The version names the key {registered.thumbprint}, the receipt {key.thumbprint}."
        )
    return f"The key is {key.thumbprint}, {key.algorithm}."


def _check_signature(version: SchemaVersion, receipt: Mapping[str, Any]) -> str:
    base = receipt["request"]["signature_base"].encode("ascii")
    if not _key(receipt).verify(_decoded(receipt, "signature"), base):
        raise _BrokenError("The signature does not hold for the signature base under this key.")
    return "The signature holds for the signature base."


def _check_signer(version: SchemaVersion, receipt: Mapping[str, Any]) -> str:
    params = _signature_params(receipt)
    if receipt["request"]["signature_input"] != f"{receipt['request']['label']}={params}":
        raise _BrokenError("The stated Signature-Input is not the one that was signed.")
    keyid = _KEYID.search(params)
    author = version.author.client_id if version.author else None
    if keyid is None or keyid[1] not in (author, receipt["key"]["thumbprint"]):
        raise _BrokenError(f"What was signed does not name {author} or its key.")
    if receipt["client_id"] != author:
        raise _BrokenError(f"The receipt is {receipt['client_id']}'s, and the version {author}'s.")
    return f"The signature names {keyid[1]}."


def _check_body(version: SchemaVersion, receipt: Mapping[str, Any]) -> str:
    signed = _lines(receipt).get('"content-digest"')
    if signed is None:
        raise _BrokenError("The signature does not cover the digest of the body.")
    check_digest(signed, _decoded(receipt, "body"))
    return "The signed digest is the digest of the body."


def _check_request(version: SchemaVersion, receipt: Mapping[str, Any]) -> str:
    lines = _lines(receipt)
    method, target = lines['"@method"'], lines['"@target-uri"']
    segments = [unquote(part) for part in urlsplit(target).path.split("/") if part]
    below = segments[segments.index("schemas") + 1 :]
    name = below[0] if below else json.loads(_decoded(receipt, "body"))["name"]
    # A check of compatibility is signed over the same body, and writes nothing.
    writes = method == "POST" and (not below or below[1:] == ["versions"])
    if not writes or name != version.schema.name:
        raise _BrokenError(f"The request was {method} {target}, which does not write {version.schema.name}.")
    return f"{method} {target}"


def _check_content(version: SchemaVersion, receipt: Mapping[str, Any]) -> str:
    body = json.loads(_decoded(receipt, "body"))
    if (signed := body.get("format") or "fields") != version.format:
        raise _BrokenError(f"The signed body is {signed}, and the version is kept as {version.format}.")
    sent = body["fields"] if body.get("fields") is not None else body["content"]
    document = read_document(version.format, sent)
    stored = read_document(version.format, version.content)
    if document.digest != stored.digest or document.digest != version.digest:
        raise _BrokenError("The content is not what the signed body carried.")
    if stored.fingerprint != version.fingerprint or stored.canonical != bytes(version.canonical):
        raise _BrokenError("The fingerprint is not the content's.")
    return f"The content is what the signed body carried; its fingerprint is {version.fingerprint}."


def _check_time(version: SchemaVersion, receipt: Mapping[str, Any]) -> str:
    created = _CREATED.search(_signature_params(receipt))
    if created is None:
        raise _BrokenError("The signature does not say when it was made.")
    signed = datetime.fromtimestamp(int(created[1]), UTC)
    if abs((version.created_at - signed).total_seconds()) > MAX_CLOCK_DISTANCE_S:
        raise _BrokenError(f"It was signed at {signed.isoformat()}, far from when the version was written.")
    return f"It was signed at {signed.isoformat()}."


def _key(receipt: Mapping[str, Any]) -> PublicKey:
    return load_public_key(receipt["key"]["jwk"], receipt["key"]["algorithm"])


def _decoded(receipt: Mapping[str, Any], name: str) -> bytes:
    return b64decode(receipt["request"][name], validate=True)


def _lines(receipt: Mapping[str, Any]) -> dict[str, str]:
    lines: dict[str, str] = {}
    for line in receipt["request"]["signature_base"].split("\n"):
        name, _, value = line.partition(": ")
        if name in lines:
            raise _BrokenError("The signature base repeats a component.")
        lines[name] = value
    return lines


def _signature_params(receipt: Mapping[str, Any]) -> str:
    return _lines(receipt)['"@signature-params"']
