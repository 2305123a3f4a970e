"""Receipts: proof, checked offline, of which key wrote a schema version."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import http_sf
import rfc8785
from cryptography.exceptions import InvalidSignature as CryptographicMismatch
from http_message_signatures import ContentDigest, HTTPMessageSignaturesException
from http_sf.compat import Dictionary

from .errors import InvalidKeyError, VerificationError
from .keys import ALGORITHMS, algorithms_for, jwk_thumbprint, load_public_jwk

#: The widest window of any profile plus its clock skew, in seconds.
MAX_CLOCK_DISTANCE: Final = 720
MAX_BASE_LENGTH: Final = 64 * 1024
MAX_BODY_BYTES: Final = 8 << 20
#: One line: a component identifier with its parameters, a colon, a space, the value.
_BASE_LINE: Final = re.compile(
    r'("(?:[^"\\]|\\.)*+"(?:;[a-z*][a-z0-9_.*-]*+(?:=(?:"(?:[^"\\]|\\.)*+"|[^;: "]*+))?)*+): (.*)'
)


@dataclass(frozen=True)
class ReceiptCheck:
    """One check: its name, whether it passed (None: not checked offline), and one sentence."""

    name: str
    passed: bool | None
    message: str


@dataclass(frozen=True)
class ReceiptResult:
    """Every check of a receipt, in order."""

    checks: tuple[ReceiptCheck, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing failed."""
        return all(check.passed is not False for check in self.checks)

    @property
    def failures(self) -> tuple[ReceiptCheck, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.passed is False)

    def raise_for_failures(self) -> None:
        """Raise VerificationError naming each failed check; do nothing if there is none."""
        if self.failures:
            reasons = "; ".join(f"{check.name}: {check.message}" for check in self.failures)
            raise VerificationError(
                f"The receipt does not hold. {reasons}",
                code="RECEIPT_INVALID",
                details={"failures": [check.name for check in self.failures]},
            )

    def to_dict(self) -> dict[str, Any]:
        """The result, ready for JSON."""
        return {
            "valid": self.valid,
            "checks": [{"name": c.name, "passed": c.passed, "message": c.message} for c in self.checks],
        }


class _CheckFailedError(Exception):
    """A check failed, for this reason."""


class _NotCheckedError(Exception):
    """A check cannot be made offline, for this reason."""


def verify_receipt(receipt: Mapping[str, Any]) -> ReceiptResult:
    """Check offline that the key named in a receipt wrote the schema version that it describes.

    What is shown: the holder of the key signed a request that carried this content. Whose key it was at
    that time is the server's word; compare the thumbprint with the one that you know.

    Args:
        receipt: as `client.schemas.receipt` gives it; the whole envelope or its `data`.

    Returns:
        A result with one entry for each of: key, signature, signature_base, key_id, content_digest,
        request, content, fingerprint, time. A malformed receipt fails the checks that it breaks.
    """
    if "request" not in receipt and isinstance(receipt.get("data"), Mapping):
        receipt = receipt["data"]
    steps: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
        ("key", _check_key),
        ("signature", _check_signature),
        ("signature_base", _check_signature_base),
        ("key_id", _check_key_id),
        ("content_digest", _check_content_digest),
        ("request", _check_request),
        ("content", _check_content),
        ("fingerprint", _check_fingerprint),
        ("time", _check_time),
    )
    return ReceiptResult(tuple(_run(name, step, receipt) for name, step in steps))


def _run(name: str, step: Callable[[Mapping[str, Any]], str], receipt: Mapping[str, Any]) -> ReceiptCheck:
    try:
        return ReceiptCheck(name, True, step(receipt))
    except _NotCheckedError as exc:
        return ReceiptCheck(name, None, str(exc))
    except _CheckFailedError as exc:
        return ReceiptCheck(name, False, str(exc))
    except InvalidKeyError as exc:
        return ReceiptCheck(name, False, exc.message)
    except RecursionError:
        return ReceiptCheck(name, False, "It is nested too deeply.")


def _check_key(receipt: Mapping[str, Any]) -> str:
    key = _member(receipt, "key", dict)
    jwk = _member(key, "jwk", dict)
    load_public_jwk(jwk)
    thumbprint = jwk_thumbprint(jwk)
    if key.get("thumbprint") != thumbprint:
        raise _CheckFailedError(f"The key's thumbprint is {thumbprint}, not the one stated.")
    return f"The key is {thumbprint}."


def _check_signature(receipt: Mapping[str, Any]) -> str:
    key, request = _member(receipt, "key", dict), _member(receipt, "request", dict)
    public_key = load_public_jwk(_member(key, "jwk", dict))
    algorithm = _member(key, "algorithm", str)
    if algorithm not in algorithms_for(public_key):
        raise _CheckFailedError(f"The algorithm {algorithm!r} does not fit the key.")
    base, signature = _base(request).encode("utf-8"), _base64(request, "signature")
    make_verifier: Any = ALGORITHMS[algorithm]
    try:
        make_verifier(public_key=public_key).verify(signature=signature, message=base)
    except (CryptographicMismatch, HTTPMessageSignaturesException, ValueError):
        raise _CheckFailedError("The signature does not fit the signature base under this key.") from None
    return f"The {algorithm} signature fits the signature base."


def _check_signature_base(receipt: Mapping[str, Any]) -> str:
    request = _member(receipt, "request", dict)
    lines = _base_lines(request)
    identifiers, params = _signature_params(lines)
    if [name for name, _ in lines[:-1]] != identifiers:
        raise _CheckFailedError("Its lines are not the ones that its @signature-params lists.")
    for name in ('"@method"', '"@target-uri"', '"content-digest"'):
        if name not in identifiers:
            raise _CheckFailedError(f"It does not cover {name}.")
    if not _same_signature_input(
        _member(request, "signature_input", str), lines[-1][1], request.get("label")
    ):
        raise _CheckFailedError("Its @signature-params is not the stated signature_input.")
    if "alg" in params and params["alg"] != _member(receipt, "key", dict).get("algorithm"):
        raise _CheckFailedError("It names another algorithm than the receipt.")
    return f"It covers {', '.join(identifiers)}."


def _check_key_id(receipt: Mapping[str, Any]) -> str:
    _, params = _signature_params(_base_lines(_member(receipt, "request", dict)))
    key_id, key = params.get("keyid"), _member(receipt, "key", dict)
    if key_id is None or key_id not in (receipt.get("client_id"), key.get("thumbprint")):
        raise _CheckFailedError(
            f"The signature names {key_id!r}, which is neither the client nor the key of the receipt."
        )
    return f"The signature names {key_id}."


def _check_content_digest(receipt: Mapping[str, Any]) -> str:
    request = _member(receipt, "request", dict)
    signed = dict(_base_lines(request)).get('"content-digest"')
    if signed is None:
        raise _CheckFailedError("The signature does not cover the body's digest.")
    if signed != _member(request, "content_digest", str).strip():
        raise _CheckFailedError("The stated content_digest is not the one that was signed.")
    try:
        ContentDigest.verify(signed, _base64(request, "body"))
    except (HTTPMessageSignaturesException, ValueError):
        raise _CheckFailedError("The signed digest is not the digest of the body.") from None
    return "The signed digest is the digest of the body."


def _check_request(receipt: Mapping[str, Any]) -> str:
    lines = dict(_base_lines(_member(receipt, "request", dict)))
    method, target = lines.get('"@method"'), lines.get('"@target-uri"', "")
    if method not in ("POST", "PUT"):
        raise _CheckFailedError(f"The method {method!r} does not write a schema.")
    segments = [unquote(part) for part in urlsplit(target).path.split("/") if part]
    below = segments[segments.index("schemas") + 1 :] if "schemas" in segments else None
    # Only these two write. A check of compatibility is signed over the same body, and writes nothing.
    if below is None or (below and below[1:] != ["versions"]):
        raise _CheckFailedError(f"{target!r} is not where schemas are written.")
    name = below[0] if below else _body(receipt).get("name")
    if name != receipt.get("schema"):
        raise _CheckFailedError(f"The request wrote the schema {name!r}, not {receipt.get('schema')!r}.")
    return f"{method} {target} wrote the schema {name}."


def _check_content(receipt: Mapping[str, Any]) -> str:
    body = _body(receipt)
    if (signed := body.get("format") or "fields") != receipt.get("format"):
        raise _CheckFailedError(f"The signed body is {signed!r}, and the receipt {receipt.get('format')!r}.")
    sent = body["fields"] if body.get("fields") is not None else body.get("content")
    if _comparable(sent) != _comparable(receipt.get("content")):
        raise _CheckFailedError("The content is not what the signed body carried.")
    return "The content is what the signed body carried."


def _check_fingerprint(receipt: Mapping[str, Any]) -> str:
    if receipt.get("format") not in ("fields", "jsonschema"):
        raise _NotCheckedError(
            f"The fingerprint of the format {receipt.get('format')!r} is not recomputed offline; "
            "the content itself is bound by the body."
        )
    try:
        computed = hashlib.sha256(rfc8785.dumps(receipt.get("content"))).hexdigest()
    except (rfc8785.CanonicalizationError, TypeError, ValueError) as exc:
        raise _CheckFailedError(f"The content has no canonical form: {exc}") from None
    if _member(receipt, "fingerprint", str).removeprefix("sha256:") != computed:
        raise _CheckFailedError(f"The content's fingerprint is {computed}, not the one stated.")
    return f"The content's fingerprint is {computed}."


def _check_time(receipt: Mapping[str, Any]) -> str:
    _, params = _signature_params(_base_lines(_member(receipt, "request", dict)))
    created = params.get("created")
    if type(created) is not int:
        raise _CheckFailedError("The signature does not say when it was made.")
    try:
        received = datetime.fromisoformat(_member(receipt, "received_at", str))
        signed = datetime.fromtimestamp(created, UTC)
    except (ValueError, OverflowError, OSError):
        raise _CheckFailedError("A time cannot be read.") from None
    received = received if received.tzinfo else received.replace(tzinfo=UTC)
    if abs((received - signed).total_seconds()) > MAX_CLOCK_DISTANCE:
        raise _CheckFailedError(
            f"It was signed at {signed.isoformat()}, too far from when it is said to have arrived."
        )
    return f"It was signed at {signed.isoformat()}."


def _member(holder: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = holder.get(name)
    if not isinstance(value, kind):
        raise _CheckFailedError(
            f"The member {name} is missing or not {'an object' if kind is dict else 'text'}."
        )
    return value


def _base64(holder: Mapping[str, Any], name: str) -> bytes:
    text = _member(holder, name, str).strip().strip(":")
    if len(text) > MAX_BODY_BYTES * 4 // 3 + 4:
        raise _CheckFailedError(f"The member {name} is too long.")
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise _CheckFailedError(f"The member {name} is not base64.") from None


def _base(request: Mapping[str, Any]) -> str:
    base: str = _member(request, "signature_base", str)
    if len(base) > MAX_BASE_LENGTH or not base.isascii():
        raise _CheckFailedError("The signature base is too long or not ASCII.")
    return base


def _base_lines(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The lines of the base as (component identifier, value), `@signature-params` last (section 2.5)."""
    lines = []
    for line in _base(request).split("\n"):
        match = _BASE_LINE.fullmatch(line)
        if match is None:
            raise _CheckFailedError("The signature base has a line that is not one.")
        lines.append((match[1], match[2]))
    if lines[-1][0] != '"@signature-params"' or len(dict(lines)) != len(lines):
        raise _CheckFailedError(
            "The signature base does not end in @signature-params, or repeats a component."
        )
    return lines


def _signature_params(lines: list[tuple[str, str]]) -> tuple[list[str], dict[str, Any]]:
    parsed = _dictionary("sig=" + lines[-1][1])
    members: Any = parsed.get("sig")
    if list(parsed) != ["sig"] or (not isinstance(members, list) and not hasattr(members, "data")):
        raise _CheckFailedError("The @signature-params cannot be read.")
    return [str(item) for item in members], dict(members.params)


def _same_signature_input(stated: str, params: str, label: object) -> bool:
    """Whether signature_input is the signed parameters: alone, or as the label's member of the field."""
    if stated.strip() == params:
        return True
    try:
        members = _dictionary(stated)
    except _CheckFailedError:
        return False
    member = members.get(label) if isinstance(label, str) else None
    return member is not None and str(member) == params


def _dictionary(text: str) -> Any:
    parsed = Dictionary()
    try:
        parsed.parse(text.encode("ascii"))
    except (http_sf.StructuredFieldError, ValueError, TypeError):
        raise _CheckFailedError("The @signature-params cannot be read.") from None
    return parsed


def _body(receipt: Mapping[str, Any]) -> dict[str, Any]:
    try:
        parsed = json.loads(_base64(_member(receipt, "request", dict), "body"))
    except ValueError:
        raise _CheckFailedError("The body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise _CheckFailedError("The body is not a JSON object.")
    return parsed


def _comparable(content: Any) -> Any:
    """Content with what a server fills in: a field that says nothing about `required` is not required."""
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except ValueError:
            return content
    if isinstance(content, list) and all(isinstance(field, dict) for field in content):
        return [_filled_in(field) for field in content]
    return _canonical(content)


def _filled_in(field: dict[str, Any]) -> Any:
    return _canonical(
        {"required": False} | {name: value for name, value in field.items() if value is not None}
    )


def _canonical(content: Any) -> bytes:
    try:
        return rfc8785.dumps(content)
    except (rfc8785.CanonicalizationError, TypeError, ValueError) as exc:
        raise _CheckFailedError(f"The content has no canonical form: {exc}") from None
