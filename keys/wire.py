"""From a Django request to the message that the engine verifies: what really stood on the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.request import validate_host

from keys.errors import AuthorityNotAllowed, RawTargetMissing
from keys.httpsig import Request, normalise_authority
from project.proxies import public_origins, wire_host, wire_scheme

# Where `project.server` leaves the field lines as they came: (name in capitals, value without blanks around it).
FIELD_LINES = "datafold.field_lines"

NOT_OURS = (
    "The request is addressed to a host that is not this server's. Use the server's public address; its operator "
    "lists them in DATAFOLD_PUBLIC_ORIGINS or ALLOWED_HOSTS."
)

# WSGI keeps these two without the prefix.
_UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


@lru_cache(maxsize=256)
def _environ_name(name: str) -> str:
    """The environ's name for a field; one that no environ has for a field with an underscore."""
    if "_" in name:
        return ""
    return _UNPREFIXED.get(name) or "HTTP_" + name.upper().replace("-", "_")


class WireFields(Mapping[str, str]):
    """The header fields of a WSGI environ by lower-case name, looked up and not copied.

    A name with an underscore is never found: `Signature_Input` is not `Signature-Input`. The lines of a field
    that came more than once are joined by ", " (RFC 9421 section 2.1); WSGI servers join them by "," alone,
    and so they stay where the server hands over no lines.
    """

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value: str = self._environ[_environ_name(name)]
        return self._joined(name, value) if "," in value else value

    def get(self, name: str, default: Any = None) -> Any:
        """`Mapping.get` would raise and catch a KeyError for every field that is not there."""
        value = self._environ.get(_environ_name(name), default)
        return self._joined(name, value) if value and "," in value else value

    def _joined(self, name: str, value: str) -> str:
        lines = _lines(self._environ, name)
        return ", ".join(lines) if len(lines) > 1 else value

    def __iter__(self) -> Iterator[str]:
        for key in self._environ:
            if key.startswith("HTTP_"):
                yield key[5:].lower().replace("_", "-")
            elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                yield key.lower().replace("_", "-")

    def __len__(self) -> int:
        return sum(1 for _ in self)


class WireLines(Mapping[str, Sequence[str]]):
    """The separate lines of each header field, by lower-case name."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> Sequence[str]:
        if not (lines := _lines(self._environ, name)):
            raise KeyError(name)
        return lines

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys(name.lower() for name, _ in self._environ[FIELD_LINES])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _lines(environ: Mapping[str, Any], name: str) -> list[str]:
    capitals = name.upper()
    return [value for each, value in environ.get(FIELD_LINES, ()) if each == capitals]


def claims_signature(request: HttpRequest) -> bool:
    """Whether the request says that it is signed; from then on it is verified or refused."""
    return "HTTP_SIGNATURE" in request.META or "HTTP_SIGNATURE_INPUT" in request.META


def wire_request(request: HttpRequest, *, read_body: bool = True) -> Request:
    """The request as the engine sees it. Reads the body, which `BodyLimitMiddleware` has bounded.

    Args:
        read_body: false leaves the body on the wire, for whoever streams it to disk and checks its
            digest on the way (`project.uploads`).

    Raises:
        RawTargetMissing: the application server does not hand the request target over.
        AuthorityNotAllowed: the Host is none of this server's.
        SignatureError: the target or the host cannot be signed for.
    """
    target = raw_target(request)
    scheme, authority = judged_origin(wire_scheme(request), wire_host(request))
    environ = request.META
    return Request(
        method=environ["REQUEST_METHOD"],
        raw_target=target,
        scheme=scheme,
        authority=authority,
        fields=WireFields(environ),
        lines=WireLines(environ) if FIELD_LINES in environ else None,
        body=request.body if read_body and environ.get("CONTENT_LENGTH") else b"",
    )


def raw_target(request: HttpRequest) -> str:
    """The request target as it stood on the wire, percent-encoding and all.

    Raises:
        RawTargetMissing: the application server does not hand it over (only gunicorn is known to do so
            under this name, faithfully: `/a/../b` and `//x` come through as they are).
    """
    target = request.META.get("RAW_URI")
    if not target:
        raise RawTargetMissing(
            "The application server does not hand over the request target as it stood on the wire, so no signature "
            "over it can be checked. Run DataFold on gunicorn."
        )
    return str(target)


def judged_origin(scheme: str, host: str) -> tuple[str, str]:
    """Scheme and authority that a request counts as addressed to: a configured public origin, else an allowed Host.

    Args:
        scheme: the connection's; it counts only where no public origin is configured.
        host: the Host field's value.

    Raises:
        AuthorityNotAllowed: the host is none of this server's.
        RequestMalformed: it is no host at all.
    """
    allowed = () if public_origins() else tuple(_allowed_hosts())
    return _judged_origin(scheme, host, tuple(public_origins().items()), allowed)


@lru_cache(maxsize=256)
def _judged_origin(
    scheme: str, host: str, origins: tuple[tuple[str, str], ...], allowed: tuple[str, ...]
) -> tuple[str, str]:
    """Remembered for the hosts that are ours: a server has few. A refusal is not remembered."""
    for authority, public_scheme in origins:
        if normalise_authority(host, public_scheme) == authority:
            return public_scheme, authority
    if origins:
        raise _not_ours(host)
    authority = normalise_authority(host, scheme)
    name = authority.rpartition(":")[0] if _has_port(authority) else authority
    if not validate_host(name, allowed):
        raise _not_ours(host)
    return scheme, authority


def _has_port(authority: str) -> bool:
    return authority.rpartition(":")[2].isdigit() and not authority.endswith("]")


def _allowed_hosts() -> list[str]:
    if settings.DEBUG and not settings.ALLOWED_HOSTS:
        return [".localhost", "127.0.0.1", "[::1]"]
    return list(settings.ALLOWED_HOSTS)


def _not_ours(host: str) -> AuthorityNotAllowed:
    return AuthorityNotAllowed(NOT_OURS, host=host[:100])
