"""Runs the vector files of the verification engine; policy, clock and keys come from the files."""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from keys.httpsig import (
    ALGORITHMS,
    STRUCTURED_FIELDS,
    Component,
    Components,
    DigestMalformed,
    DigestMismatch,
    DigestMissing,
    InvalidPublicKey,
    Limits,
    Message,
    NonceRule,
    Policy,
    PublicKey,
    Request,
    Response,
    SignatureError,
    SignatureVerificationFailed,
    check_content_digest,
    check_digest,
    check_signature,
    load_public_key,
    one_of,
    parse_signatures,
    sf,
    signature_base,
    verify,
)

from .result import Result

Json = Any

_STRUCTURED_FIELDS = {**STRUCTURED_FIELDS, "example-dict": "dictionary"}
_TOKEN_CHARS = frozenset("!#$%&'*+-.^`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class StoredKey:
    public_key: PublicKey


# rfc9421.json


def rfc9421(data: Json) -> Result:
    result = Result()
    keys = {
        name: load_public_key(key["public_pem"], key["algorithm"])
        for name, key in data["keys"].items()
        if "public_pem" in key
    }
    for vector in data["signature_vectors"]:
        result.record(vector["id"], *_signature_vector(vector, keys, data["keys"]))
    for vector in data["component_vectors"]:
        result.record(vector["id"], *_component_vector(vector))
    for vector in data["syntax_vectors"]:
        result.record(vector["id"], *_syntax_vector(vector))
    return result


def _signature_vector(vector: Json, keys: Mapping[str, PublicKey], described: Json) -> tuple[bool, str]:
    message = _message(vector)
    signature = next(each for each in parse_signatures(message, Limits()) if each.label == vector["label"])
    base = signature_base(signature, message, _STRUCTURED_FIELDS)
    if base.decode() != vector["expected_signature_base"]:
        return False, f"base is {base!r}"
    if vector["algorithm"] == "hmac-sha256":
        # The engine has no shared-secret algorithm; its base under the shared secret is judged here.
        secret = base64.b64decode(described[vector["keyid"]]["secret_base64"])
        expected = hmac.digest(secret, base, "sha256")
        return (expected == signature.raw_signature) == vector["expected_verify"], "HMAC"
    try:
        check_signature(signature, base, [StoredKey(keys[vector["keyid"]])])
    except SignatureVerificationFailed:
        return not vector["expected_verify"], "does not verify"
    return bool(vector["expected_verify"]), "verifies"


def _component_vector(vector: Json) -> tuple[bool, str]:
    name, params = sf.parse_item(vector["component"])
    try:
        message = _message(vector)
        component = Components([Component(str(name), params)])
        line = component.lines(message, _STRUCTURED_FIELDS)[0]
    except SignatureError as error:
        return vector["expected_error"] is not None, str(error)
    return line == vector["expected_base_line"], f"line is {line!r}"


def _syntax_vector(vector: Json) -> tuple[bool, str]:
    found = {}
    for label, member in sf.parse_dictionary(vector["raw"], unique=True).items():
        if isinstance(member, sf.InnerList):
            components: Json = [[item.value, [list(p) for p in item.params.items()]] for item in member.items]
            length = None
        else:
            components, length = None, len(member.value) if isinstance(member.value, bytes) else None
        params = [list(pair) for pair in member.params.items()]
        found[label] = {"components": components, "byte_sequence_length": length, "params": params}
    return found == vector["parsed"], f"parsed as {found}"


def _message(vector: Json) -> Message:
    request = _request(vector["request"]) if "request" in vector else None
    if "response" not in vector:
        assert request is not None
        return request
    raw = vector["response"]
    return Response.from_lines(
        status=raw["status"],
        lines=_lines(raw),
        body=raw["body"].encode(),
        request=request,
        trailers=[(name, value) for name, value in raw.get("trailers", [])],
    )


def _request(raw: Json) -> Request:
    return Request.from_lines(
        method=raw["method"],
        raw_target=raw["target"],
        scheme=raw["scheme"],
        lines=_lines(raw),
        body=raw["body"].encode(),
    )


def _lines(raw: Json) -> list[tuple[str, str]]:
    """The field lines that an HTTP server passes on: those whose names are tokens."""
    return [(name, value) for name, value in raw["headers"] if _TOKEN_CHARS.issuperset(name)]


# requests.json


def requests(data: Json) -> Result:
    result = Result()
    policy = _policy(data["policy"])
    store = {keyid: _stored_key(key) for keyid, key in data["keys"].items()}
    for case in data["cases"]:
        outcome, why = _outcome(case["request"], policy, data, store, data["policy"]["now"], set())
        result.record(case["id"], outcome == case["expected"]["outcome"], f"{outcome}: {why}")
    for sequence in data["sequences"]:
        result.record(sequence["id"], *_sequence(sequence, policy, data, store))
    return result


def _sequence(
    sequence: Json, policy: Policy, data: Json, store: Mapping[str, StoredKey | None]
) -> tuple[bool, str]:
    nonces: set[tuple[str, str]] = set()
    for number, step in enumerate(sequence["steps"], start=1):
        outcome, why = _outcome(step["request"], policy, data, store, step["now"], nonces)
        if outcome != step["expected"]["outcome"]:
            return False, f"step {number}: {outcome}: {why}"
    return True, ""


def _outcome(
    raw: Json,
    policy: Policy,
    data: Json,
    store: Mapping[str, StoredKey | None],
    now: float,
    nonces: set[tuple[str, str]],
) -> tuple[str, str]:
    def keys_for(keyid: str) -> list[StoredKey]:
        key = store.get(keyid)
        facts = data["keys"].get(keyid, {})
        if key is None or facts["status"] == "revoked":
            return []
        if not facts.get("not_before", now) <= now <= facts.get("not_after", now):
            return []
        return [key]

    try:
        request = Request.from_lines(
            method=raw["method"],
            raw_target=raw["target"],
            scheme=raw["scheme"],
            lines=[(name, value) for name, value in raw["headers"]],
            body=base64.b64decode(raw["body_base64"]),
        )
        verified = verify(request, policy=policy, keys_for=keys_for, now=now)
    except SignatureError as error:
        return "reject", f"{error.code} {error.message}"
    spent = (verified.signature.keyid or "", verified.signature.nonce or "")
    if spent in nonces:
        return "reject", "NONCE_REUSED"
    nonces.add(spent)
    return "accept", ""


def _stored_key(key: Json) -> StoredKey | None:
    """What registration makes of a key: nothing, where it refuses."""
    try:
        if "public_pem" in key:
            return StoredKey(load_public_key(key["public_pem"], key["alg"]))
        return StoredKey(load_public_key(key["public_raw_hex"]))
    except InvalidPublicKey:
        return None


def _policy(raw: Json) -> Policy:
    """The file states most rules as values; those in words are the requirements written out here."""
    return Policy(
        name="vectors",
        window_s=raw["max_age_s"],
        clock_skew_s=raw["future_skew_s"],
        expires_skew_s=raw["expires_skew_s"],
        max_lifetime_s=raw["max_lifetime_s"],
        required_components=(one_of("@method"), one_of("@target-uri", ("@authority", "@path", "@query"))),
        body_components=("content-digest",),
        covered_if_present=("content-digest", "content-type", "content-encoding"),
        forbidden_components=frozenset(name.split()[0] for name in raw["forbidden_components"]),
        nonce=NonceRule(
            required=raw["nonce_required"], min_chars=raw["nonce_min_chars"], max_chars=raw["nonce_max_chars"]
        ),
        algorithms=frozenset(raw["allowed_algs"]),
        tag=raw["required_tag"],
        tag_required=True,
        allowed_authorities=frozenset(raw["authority_allowlist"]),
        limits=Limits(
            signature_input_bytes=raw["max_signature_input_bytes"],
            signature_bytes=raw["max_signature_bytes"],
            signatures=raw["max_labels"],
            components=raw["max_components"],
            params=raw["max_params"],
        ),
    )


# content_digest.json


def content_digest(data: Json) -> Result:
    result = Result()
    for case in data["cases"]:
        body = base64.b64decode(case["body_base64"])
        found = _digest_verdict(", ".join(case["field_lines"]), body, case["field"])
        result.record(case["id"], found == case["expected"], f"{found}, not {case['expected']}")
    return result


def _digest_verdict(value: str, body: bytes, field: str) -> str:
    try:
        check_digest(value, body, field)
    except DigestMismatch:
        return "mismatch"
    except DigestMalformed:
        return "malformed"
    except DigestMissing:
        return "no_supported_algorithm"
    return "match"


# sf_cases.json


def sf_cases(data: Json) -> Result:
    result = Result()
    for case in data["cases"]:
        result.record(f"{case['source_file']} {case['name']}", *_sf_case(case))
    return result


def _sf_case(case: Json) -> tuple[bool, str]:
    text = ", ".join(case["raw"])
    try:
        found, canonical = _parsed(text, case["header_type"])
    except SignatureError as error:
        return bool(case.get("must_fail") or case.get("can_fail")), str(error)
    if case.get("must_fail"):
        return False, f"parsed as {found}"
    wanted = case.get("canonical", case["raw"])
    same = found == case["expected"] and ([canonical] if canonical else []) == wanted
    return same, f"parsed as {found}, serialised as {canonical}"


def _parsed(text: str, header_type: str) -> tuple[Json, str]:
    if header_type == "item":
        item = sf.parse_item(text)
        return _member(item), sf.serialize_member(item)
    if header_type == "list":
        members = sf.parse_list(text)
        return [_member(each) for each in members], sf.serialize_list(members)
    dictionary = sf.parse_dictionary(text)
    return [[key, _member(each)] for key, each in dictionary.items()], sf.serialize_dictionary(dictionary)


def _member(member: sf.Member) -> Json:
    params = [[key, _bare(value)] for key, value in member.params.items()]
    if isinstance(member, sf.InnerList):
        return [[_member(item) for item in member.items], params]
    return [_bare(member.value), params]


def _bare(value: sf.BareItem) -> Json:
    match value:
        case sf.Token():
            return {"__type": "token", "value": str(value)}
        case bytes():
            return {"__type": "binary", "value": base64.b32encode(value).decode()}
        case sf.Date():
            return {"__type": "date", "value": value.seconds}
        case sf.DisplayString():
            return {"__type": "displaystring", "value": value.text}
        case Decimal():
            return float(value)
    return value


# Ed25519


def wycheproof(data: Json) -> Result:
    result = Result()
    for vector in data["vectors"]:
        verdict = _ed25519_verdict(vector)
        result.record(
            f"tcId {vector['tcId']}", verdict == (vector["result"] == "valid"), f"verdict {verdict}"
        )
    return result


def ed25519_edge(data: Json) -> Result:
    """Every low-order or non-canonical key is refused; for the others the outcome is that of RFC 8032,
    which the file records as what OpenSSL does."""
    result = Result()
    for raw in data["low_order_public_key_encodings_hex"]:
        result.record(f"key {raw}", not _registers(raw), "was registered")
    for vector in data["speccheck"] + data["cctv"]:
        registers = _registers(vector["pk"])
        if _must_not_register(vector["pk"], data):
            result.record(vector["id"], not registers, "was registered")
            continue
        expected = vector["observed"]["cryptography"] if registers else False
        verdict = _ed25519_verdict(vector)
        result.record(vector["id"], verdict == expected, f"verdict {verdict}")
    return result


def _must_not_register(raw: str, data: Json) -> bool:
    y = int.from_bytes(bytes.fromhex(raw), "little") & (2**255 - 1)
    return raw in data["low_order_public_key_encodings_hex"] or y >= 2**255 - 19


def _registers(raw: str) -> bool:
    try:
        load_public_key(raw)
    except InvalidPublicKey:
        return False
    return True


def _ed25519_verdict(vector: Json) -> bool:
    try:
        key = load_public_key(vector["pk"])
    except InvalidPublicKey:
        return False
    return key.verify(binascii.unhexlify(vector["sig"]), binascii.unhexlify(vector["msg"]))


# directory_facts.json


def directory(data: Json) -> Result:
    result = Result()
    for example in data["jwk_thumbprint"]["examples"]:
        key = load_public_key(example["jwk"])
        result.record(example["name"], key.thumbprint == example["thumbprint"], key.thumbprint)
    keys = [
        load_public_key(e["jwk"], e["jwk"].get("alg") if e["jwk"].get("alg") in ALGORITHMS else None)
        for e in data["jwk_thumbprint"]["examples"]
    ]
    for vector in data["vectors"]:
        result.record(vector["id"], *_directory_vector(vector, keys))
    return result


def _directory_vector(vector: Json, keys: list[PublicKey]) -> tuple[bool, str]:
    raw = vector.get("response", vector)
    message = _message({**vector, **({"request": raw["request"]} if "request" in raw else {})})
    signature = next(each for each in parse_signatures(message, Limits()) if each.label == vector["label"])
    base = signature_base(signature, message)
    if base.decode() != vector["signature_base"]:
        return False, f"base is {base!r}"
    check_content_digest(message)
    fitting = [StoredKey(key) for key in keys if key.thumbprint == vector["keyid"]]
    check_signature(signature, base, fitting)
    return True, ""


RUNNERS: dict[str, Callable[[Any], Result]] = {
    "rfc9421.json": rfc9421,
    "requests.json": requests,
    "content_digest.json": content_digest,
    "sf_cases.json": sf_cases,
    "wycheproof_ed25519.json": wycheproof,
    "ed25519_edge.json": ed25519_edge,
    "directory_facts.json": directory,
}
