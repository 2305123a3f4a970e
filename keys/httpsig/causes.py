"""Why a signature does not verify: a bounded search through the mistakes that people really make.

Each candidate is the same request as the signer may have seen it. If the signature holds for one of them, the
difference is the cause. At most :data:`MAX_CHECKS` checks for :data:`MAX_CANDIDATES` candidates, so the cost has
an end: all candidates with the two keys of a rotation, the likelier ones with more.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, permutations
from typing import Any
from urllib.parse import quote, unquote

from . import sf
from .base import signature_base
from .components import STRUCTURED_FIELDS
from .digest import content_digest
from .errors import SignatureError
from .keys import PublicKey
from .message import Request
from .near_misses import Cause, find_near_miss, wrong_length
from .signatures import UnverifiedSignature

MAX_CANDIDATES = 55
MAX_CHECKS = 110

_TARGET_COMPONENTS = frozenset({"@target-uri", "@scheme", "@authority", "@path", "@query", "@request-target"})
_DEFAULT_PORT = {"http": 80, "https": 443}
# Where applications listen: a proxy that passes on the host without the port leaves it to guessing.
_USUAL_PORTS = ("8000", "8080", "8443")
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
_HOW_TO_SIGN = {
    "FIELD_COMBINED": "This server sees the lines of a field joined as they arrived here: send it on one line."
}
# The orders in which RFC 9421's examples, signing libraries and sorted dictionaries put the parameters.
_PARAM_ORDERS = (
    ("created", "expires", "nonce", "alg", "keyid", "tag"),
    ("created", "keyid", "alg", "expires", "nonce", "tag"),
    ("alg", "created", "expires", "keyid", "nonce", "tag"),
)


def find_cause(
    signature: UnverifiedSignature,
    request: Request,
    keys: Sequence[PublicKey],
    structured_fields: Mapping[str, str] = STRUCTURED_FIELDS,
) -> Cause | None:
    """The mistake that explains why ``signature`` does not verify; None if it is none of the known ones.

    Tells nothing that the signer does not know: a candidate holds only if the signer's own key made it.
    """
    fitting = [key for key in keys if signature.alg in (None, key.algorithm)]
    if not fitting:
        return None
    try:
        base = signature_base(signature, request, structured_fields)
    except SignatureError:
        return None
    value = signature.raw_signature
    for key in fitting:
        if (near_miss := find_near_miss(key, value, base)) is not None:
            return near_miss
    # A rotation leaves a client with two keys, perhaps of two algorithms: any of them may be the signer's.
    signers = [key for key in fitting if len(value) == key.signature_bytes]
    if not signers:
        return wrong_length(fitting, value)
    bases = islice(_bases(signature, request, base, structured_fields), MAX_CANDIDATES)
    checks = ((cause, key, other) for cause, other in bases for key in signers)
    return next((cause for cause, key, other in islice(checks, MAX_CHECKS) if key.verify(value, other)), None)


def _bases(
    signature: UnverifiedSignature, request: Request, base: bytes, structured_fields: Mapping[str, str]
) -> Iterator[tuple[Cause, bytes]]:
    yield from _other_encodings(signature, base)
    yield from _other_parameters(signature, base)
    yield from _relative_targets(request, base)
    for cause, changes in _variants(signature, request):
        try:
            variant = _variant(request, changes)
            yield cause, signature_base(signature, variant, structured_fields)
        except SignatureError:
            continue


def _variant(request: Request, changes: Mapping[str, Any]) -> Request:
    kept = ("method", "raw_target", "scheme", "authority", "fields", "body", "has_body", "lines", "trailers")
    return Request(**{name: changes.get(name, getattr(request, name)) for name in kept})


def _variants(signature: UnverifiedSignature, request: Request) -> Iterator[tuple[Cause, dict[str, Any]]]:
    names = signature.components.names
    if names & _TARGET_COMPONENTS:
        yield from _other_origins(request)
        yield from _other_targets(request)
    if "@method" in names:
        yield from _other_methods(request)
    yield from _other_fields(signature, request)


def _other_origins(request: Request) -> Iterator[tuple[Cause, dict[str, Any]]]:
    server = f"{request.scheme}://{request.authority}"
    other_scheme = "http" if request.scheme == "https" else "https"
    name, colon, port = request.authority.rpartition(":")
    name, port = (
        (name, colon + port) if port.isdigit() and not port.endswith("]") else (request.authority, "")
    )
    authorities = [request.fields.get("host", ""), request.fields.get("x-forwarded-host", ""), name]
    if name in _THIS_MACHINE:
        authorities += [other + port for other in _THIS_MACHINE]
    ports = [] if port else [request.fields.get("x-forwarded-port", ""), *_USUAL_PORTS]
    origins = [
        (other_scheme, request.authority),
        (request.scheme, f"{request.authority}:{_DEFAULT_PORT.get(request.scheme, 0)}"),
        *((scheme, each) for each in authorities for scheme in (request.scheme, other_scheme) if each),
        *((request.scheme, f"{name}:{each}") for each in ports if each),
    ]
    for scheme, authority in dict.fromkeys(origins):
        if (scheme, authority) == (request.scheme, request.authority):
            continue
        signed = f"{scheme}://{authority}"
        yield (
            Cause(
                "OTHER_ORIGIN",
                f"You signed {signed}, this server is {server}. Sign the address as the server knows it; "
                "if a proxy stands between, let it pass on scheme and host, or set the public origin here.",
            ),
            {"scheme": scheme, "authority": authority},
        )


def _other_targets(request: Request) -> Iterator[tuple[Cause, dict[str, Any]]]:
    if not request.raw_target.startswith("/"):
        return
    path, mark, query = request.raw_target.partition("?")
    targets = [
        ("TRAILING_SLASH", path.removesuffix("/") if path.endswith("/") else f"{path}/", query),
        ("PERCENT_ENCODING", unquote(path), query),
        ("PERCENT_ENCODING", quote(unquote(path), safe="/~:@!$&'()*+,;="), query),
        ("PERCENT_ENCODING", path, query.replace("+", "%20")),
        ("PERCENT_ENCODING", path, query.replace("%20", "+")),
        ("PERCENT_ENCODING", path, unquote(query)),
        ("QUERY_MISSING", path, ""),
        ("DOUBLE_SLASH", re.sub(r"/{2,}", "/", path), query),
        *(("QUERY_ORDER", path, other) for other in _other_orders(query)),
    ]
    for code, other_path, other_query in targets:
        target = f"{other_path}?{other_query}" if other_query else other_path
        if target != request.raw_target and (target or mark):
            yield (
                Cause(
                    code,
                    f"You signed the target {target}, but {request.raw_target} arrived. "
                    "Sign exactly the bytes that are sent; a proxy or HTTP library may have rewritten them.",
                ),
                {"raw_target": target},
            )


def _other_orders(query: str) -> Iterator[str]:
    """The parameters in the order of their names; of few, in every order."""
    pairs = query.split("&")
    yield "&".join(sorted(pairs))
    if len(pairs) <= 3:
        yield from map("&".join, permutations(pairs))


def _other_methods(request: Request) -> Iterator[tuple[Cause, dict[str, Any]]]:
    for method in dict.fromkeys((request.method.upper(), request.method.lower(), "GET", "HEAD", "POST")):
        if method != request.method:
            yield (
                Cause("OTHER_METHOD", f"You signed the method {method}, {request.method} arrived."),
                {"method": method},
            )


def _other_fields(signature: UnverifiedSignature, request: Request) -> Iterator[tuple[Cause, dict[str, Any]]]:
    for component in signature.components:
        value = request.fields.get(component.name)
        if value is None:
            continue
        for code, other in _other_values(component.name, value, request):
            if other != value:
                yield (
                    Cause(
                        code,
                        f"You signed {component.name} with the value {other}, {value} arrived. "
                        + _HOW_TO_SIGN.get(code, "Sign the field exactly as it is sent."),
                    ),
                    {"fields": {**request.fields, component.name: other}},
                )


def _other_values(name: str, value: str, request: Request) -> Iterator[tuple[str, str]]:
    if name == "content-digest":
        yield "OTHER_DIGEST", content_digest(request.body)
        yield "OTHER_DIGEST", content_digest(request.body, ("sha-512",))
    elif name == "content-type":
        yield "OTHER_CONTENT_TYPE", value.partition(";")[0].rstrip()
        yield "OTHER_CONTENT_TYPE", f"{value}; charset=utf-8"
    elif "," in value:
        parts = [part.strip(" \t") for part in value.split(",")]
        yield "FIELD_COMBINED", ", ".join(parts)
        yield "FIELD_COMBINED", ",".join(parts)


def _other_encodings(signature: UnverifiedSignature, base: bytes) -> Iterator[tuple[Cause, bytes]]:
    """The right base, but not as RFC 9421 section 2.5 wants it signed."""
    params, labelled = (
        _params_line(signature.params_text),
        _params_line(f"{signature.label}={signature.params_text}"),
    )
    yield (
        Cause("FINAL_NEWLINE", "You signed the base with a line feed at its end; there is none."),
        base + b"\n",
    )
    yield (
        Cause("CRLF", "You signed the base with CRLF line ends; they are single LFs."),
        base.replace(b"\n", b"\r\n"),
    )
    yield (
        Cause(
            "LABEL_IN_BASE",
            "You signed the label as a part of @signature-params; it does not belong there.",
        ),
        base.removesuffix(params) + labelled,
    )
    yield (
        Cause(
            "PARAMS_LINE_MISSING",
            'You signed the base without its last line. It is "@signature-params": and then what '
            "Signature-Input says behind the label.",
        ),
        base.removesuffix(b"\n" + params),
    )
    for algorithm in ("sha256", "sha512"):
        yield (
            Cause("HASHED_BASE", f"You signed the {algorithm} of the base; sign the base itself."),
            hashlib.new(algorithm, base).digest(),
        )


def _other_parameters(signature: UnverifiedSignature, base: bytes) -> Iterator[tuple[Cause, bytes]]:
    """The same parameters in another order: the signer builds the line and the field apart."""
    given = signature.unverified_params
    for order in _PARAM_ORDERS:
        ordered = {name: given[name] for name in order if name in given}
        if len(ordered) != len(given) or list(ordered) == list(given):
            continue
        params = sf.serialize_parameters(ordered)
        yield (
            Cause(
                "PARAMS_ORDER",
                f"You signed the parameters in the order {params}, but Signature-Input sends them in another. "
                "Build the text once and use it for both.",
            ),
            base.removesuffix(_params_line(signature.params_text))
            + _params_line(signature.components.text + params),
        )


def _relative_targets(request: Request, base: bytes) -> Iterator[tuple[Cause, bytes]]:
    line = f'"@target-uri": {request.target_uri}'
    for target in dict.fromkeys((request.raw_target, request.path or "")):
        yield (
            Cause(
                "TARGET_NOT_ABSOLUTE",
                f"You signed {target} as @target-uri, which is the whole address: {request.target_uri}.",
            ),
            base.replace(line.encode("ascii"), f'"@target-uri": {target}'.encode("ascii")),
        )


def _params_line(params_text: str) -> bytes:
    return f'"@signature-params": {params_text}'.encode("ascii")
