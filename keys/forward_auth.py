"""The request that a reverse proxy asks about: rebuilt from what the proxy says of it.

Three dialects, told apart by where the question is asked and by its fields:

- `X-Original-*` (nginx `auth_request`): `X-Original-Method`, `X-Original-URI`, and where there may be a body
  `X-Original-Content-Length`, `X-Original-Transfer-Encoding`;
- `X-Forwarded-*` (Traefik, Caddy): `X-Forwarded-Method`, `X-Forwarded-Uri`;
- the path itself (Envoy): `/api/v1/authorize` + the original target, with the original method.

Scheme and host come from `X-Forwarded-Proto` and `X-Forwarded-Host` (Envoy: `Host`). A proxy sets the fields
of its own dialect only, so those of another one can only be the caller's: such a request is refused.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.request import validate_host

from keys.errors import ForwardedHostNotAllowed, ForwardedRequestInvalid, ProxyNotTrusted
from keys.httpsig import DigestMismatch, Request, check_digest, normalise_authority
from keys.verification import VerifiedSignature, verify_message
from keys.wire import WireFields, raw_target
from project.proxies import client_address, from_trusted_proxy

PATH = re.compile(r"/api(?:/v1)?/authorize(?=[/?]|\Z)")

# Content means nothing in these (RFC 9110 sections 9.3 and 9.3.5), so silence about a body is "none".
_WITHOUT_CONTENT = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})


class Dialect(Enum):
    ORIGINAL = "X-Original-*"
    FORWARDED = "X-Forwarded-*"
    PREFIX = "path prefix"


class Body(Enum):
    """How far the signature vouches for the original request's body."""

    VERIFIED = "verified"
    """The proxy passed the body on, and it is the one that was signed."""
    DECLARED = "declared"
    """Content-Digest is signed; whether the body fits it is for the upstream to check."""
    NONE = "none"
    """The signature covers no body. The upstream must not act on one."""


@dataclass(frozen=True, slots=True)
class Original:
    """The original request, as a trusted proxy tells it."""

    message: Request
    dialect: Dialect
    body: Body


def asks_for_authorization(request: HttpRequest) -> bool:
    """Whether this request is a proxy's question about another one."""
    return PATH.match(request.META.get("RAW_URI", "")) is not None


def dialect_of(request: HttpRequest) -> Dialect:
    """The dialect of the question, by its path and fields."""
    target = request.META.get("RAW_URI", "")
    match = PATH.match(target)
    if match is not None and target[match.end() :].startswith("/"):
        return Dialect.PREFIX
    return Dialect.ORIGINAL if "HTTP_X_ORIGINAL_URI" in request.META else Dialect.FORWARDED


def original_request(request: HttpRequest) -> Original:
    """Rebuild the request that the proxy asks about.

    Raises:
        ProxyNotTrusted: the question does not come from one of DATAFOLD_TRUSTED_PROXIES.
        ForwardedRequestInvalid: a part is missing, or said in two dialects.
        ForwardedHostNotAllowed: the host is none of DATAFOLD_FORWARD_AUTH_HOSTS.
        SignatureError: target, host or Content-Digest cannot be what was signed.
    """
    if not from_trusted_proxy(request):
        raise ProxyNotTrusted(
            "Only a proxy that DATAFOLD_TRUSTED_PROXIES lists may ask about other requests, and this address is not "
            "one. Operators: add the proxy's address; never that of callers.",
            address=request.META.get("REMOTE_ADDR", ""),
        )
    dialect = dialect_of(request)
    _refuse_other_dialects(request, dialect)
    method, target = _method_and_target(request, dialect)
    scheme = _scheme(request)
    authority = _authority(request, dialect, scheme)
    body = b"" if _is_partial(request, dialect) else request.body
    fields = _OriginalFields(request.META, _host(request, dialect), dialect)
    message = Request(
        method=method,
        raw_target=target,
        scheme=scheme,
        authority=authority,
        fields=fields,
        body=body,
        has_body=bool(body) or _has_body(fields, method),
    )
    return Original(message, dialect, _body_of(message))


def authorize(request: HttpRequest, original: Original, *, now: float) -> tuple[VerifiedSignature, Body]:
    """Verify the original request and spend its nonce.

    Returns what was verified and how far that reaches into the body.

    Raises:
        SignatureError, KeysError: as `verify_message`.
    """
    body = original.body
    verified = verify_message(
        original.message,
        address=client_address(request),
        now=now,
        body_known=body is Body.VERIFIED,
    )
    if body is Body.DECLARED and "content-digest" not in verified.signature.components.plain:
        body = Body.NONE
    return verified, body


class _OriginalFields(WireFields):
    """The original's fields: the question's, but for those that belong to the question itself."""

    __slots__ = ("_own",)

    def __init__(self, environ: Mapping[str, str], host: str, dialect: Dialect) -> None:
        super().__init__(environ)
        self._own = {"host": host}
        if dialect is Dialect.ORIGINAL:
            for name in ("content-length", "transfer-encoding"):
                if value := environ.get("HTTP_X_ORIGINAL_" + name.upper().replace("-", "_")):
                    self._own[name] = value

    def __getitem__(self, name: str) -> str:
        if name in ("host", "content-length", "transfer-encoding"):
            return self._own[name]
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """`WireFields.get` looks into the environ directly, which would pass by the three fields above."""
        try:
            return self[name]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        for name in super().__iter__():
            if name not in ("host", "content-length", "transfer-encoding"):
                yield name


_FIELDS = {
    Dialect.ORIGINAL: ("HTTP_X_ORIGINAL_METHOD", "HTTP_X_ORIGINAL_URI"),
    Dialect.FORWARDED: ("HTTP_X_FORWARDED_METHOD", "HTTP_X_FORWARDED_URI"),
}


def _refuse_other_dialects(request: HttpRequest, dialect: Dialect) -> None:
    for other, names in _FIELDS.items():
        if other is not dialect and any(name in request.META for name in names):
            raise ForwardedRequestInvalid(
                f"The question is asked as {dialect.value} and carries fields of {other.value} as well; one of them is "
                "the caller's own. Operators: let the proxy remove the fields that it does not set "
                "(docs/forward-auth.md).",
                dialect=dialect.value,
            )


def _method_and_target(request: HttpRequest, dialect: Dialect) -> tuple[str, str]:
    if dialect is Dialect.PREFIX:
        target = raw_target(request)
        return request.META["REQUEST_METHOD"], PATH.sub("", target, count=1)
    method, target = (request.META.get(name, "") for name in _FIELDS[dialect])
    if not method or not target:
        raise _incomplete(f"{dialect.value.replace('*', 'Method')} and {dialect.value.replace('*', 'Uri')}")
    return method, target


def _scheme(request: HttpRequest) -> str:
    scheme = request.META.get("HTTP_X_FORWARDED_PROTO", "").strip().lower()
    if scheme not in ("http", "https"):
        raise _incomplete('X-Forwarded-Proto ("http" or "https")')
    return str(scheme)


def _host(request: HttpRequest, dialect: Dialect) -> str:
    name = "HTTP_HOST" if dialect is Dialect.PREFIX else "HTTP_X_FORWARDED_HOST"
    host = request.META.get(name, "").strip()
    if not host:
        raise _incomplete("the original Host")
    return str(host)


def _authority(request: HttpRequest, dialect: Dialect, scheme: str) -> str:
    authority = normalise_authority(_host(request, dialect), scheme)
    if is_forwarded_authority(authority):
        return authority
    raise ForwardedHostNotAllowed(
        f"This server does not answer for requests to {authority}. Operators: DATAFOLD_FORWARD_AUTH_HOSTS lists the "
        "hosts whose requests may be judged.",
        host=authority,
    )


def is_forwarded_authority(authority: str) -> bool:
    """Whether proxies may ask about requests to it: it is one of DATAFOLD_FORWARD_AUTH_HOSTS."""
    allowed = settings.DATAFOLD_FORWARD_AUTH_HOSTS
    return authority in allowed or validate_host(authority, [each for each in allowed if each != "*"])


def _incomplete(what: str) -> ForwardedRequestInvalid:
    return ForwardedRequestInvalid(
        f"The proxy did not say {what}, so there is no request to judge. Operators: docs/forward-auth.md has a "
        "configuration for each proxy.",
        missing=what,
    )


def _is_partial(request: HttpRequest, dialect: Dialect) -> bool:
    """Whether Envoy passes on only the beginning of a long body.

    Envoy drops the caller's field of this name and sets "true" or "false" itself. From any other proxy the field
    is the caller's own: believed, it would spare a changed body the comparison with its digest.
    """
    return dialect is Dialect.PREFIX and request.META.get("HTTP_X_ENVOY_AUTH_PARTIAL_BODY") == "true"


def _has_body(fields: Mapping[str, str], method: str) -> bool:
    """Whether the original has a body that is not at hand; where nobody says, its method decides."""
    if "transfer-encoding" in fields:
        return True
    length = fields.get("content-length")
    if length is None:
        return method not in _WITHOUT_CONTENT
    return length.strip() != "0"


def _body_of(message: Request) -> Body:
    if message.body:
        return Body.VERIFIED
    declared = message.fields.get("content-digest")
    if declared is None:
        return Body.NONE
    with contextlib.suppress(
        DigestMismatch
    ):  # of a body that is not here: that it is a digest is what is seen
        check_digest(declared, b"")
    return Body.DECLARED
