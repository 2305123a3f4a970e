"""HTTP messages as the engine sees them: what stood on the wire, and nothing derived from it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import RequestMalformed

_DEFAULT_PORT = {"http": "80", "https": "443"}

_COMMON_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
# Visible ASCII without "#": a fragment never belongs on the wire (RFC 9112 section 3.2).
_ORIGIN_FORM = re.compile(r"/[!\"$-~]*")
_ABSOLUTE_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(/[!\"$->@-~]*)?(\?[!\"$-~]*)?")
_AUTHORITY = re.compile(r"([A-Za-z0-9\-._~]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([1-9][0-9]{0,4})?)?")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]+")  # a token without "_": see fields_from_lines
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS = re.compile(r"[0-9]{1,18}")
_SINGLE = ("host", "content-length", "transfer-encoding")


def normalise_authority(host: str, scheme: str) -> str:
    """The ``@authority`` of a Host field value (RFC 9421 section 2.2.3): lower case, default port dropped.

    Raises :class:`RequestMalformed` for anything but a registered name, an IPv4 or an IPv6 address
    with an optional port. An internationalised name must come in its ``xn--`` form.
    """
    match = _AUTHORITY.fullmatch(host)
    if match is None or int(match[2] or 0) > 65535:
        raise RequestMalformed(
            "The Host field is not a plain host name with an optional port. Send exactly one Host, in ASCII.",
            host=host[:255].encode("ascii", "backslashreplace").decode("ascii"),
        )
    name = match[1].lower()
    if match[2] is None or match[2] == _DEFAULT_PORT.get(scheme):
        return name
    return f"{name}:{match[2]}"


class Request:
    """One request. Raises :class:`RequestMalformed` when method, target or authority cannot be signed for.

    method: as it stood on the wire, case preserved.
    raw_target: the request line's target as it stood on the wire, percent-encoding and all.
    scheme: ``http`` or ``https``, as the client sees this server.
    authority: from :func:`normalise_authority`.
    fields: lower-case name to combined value.
    body: the bytes that really arrived, after transfer decoding, before content decoding.
    has_body: whether there is content; by default found from body, Content-Length and Transfer-Encoding.
    lines: the separate lines of each field, where the server knows them (``;bs`` needs them).
    trailers: trailer fields, where the server hands them over (``;tr`` needs them).
    """

    __slots__ = (
        "_parts",
        "authority",
        "body",
        "fields",
        "has_body",
        "lines",
        "memo",
        "method",
        "raw_target",
        "scheme",
        "target_uri",
        "trailers",
    )

    def __init__(
        self,
        *,
        method: str,
        raw_target: str,
        scheme: str,
        authority: str,
        fields: Mapping[str, str],
        body: bytes = b"",
        has_body: bool | None = None,
        lines: Mapping[str, Sequence[str]] | None = None,
        trailers: Mapping[str, str] | None = None,
    ) -> None:
        self.method = method
        self.raw_target = raw_target
        self.scheme = scheme
        self.authority = authority
        self.fields = fields
        self.body = body
        self.has_body = _has_body(fields, body) if has_body is None else has_body
        self.lines = lines
        self.trailers = trailers
        # What several components read out of the same text is parsed once for each message.
        self.memo: dict[tuple[str, ...], Any] = {}
        if method not in _COMMON_METHODS and _METHOD.fullmatch(method) is None:
            raise RequestMalformed("The request method is not a token (RFC 9110 section 9.1).")
        # Path and query; None where this form of target has none, or while nobody has asked.
        self._parts: tuple[str, str] | None = None
        self.target_uri: str | None
        if _ORIGIN_FORM.fullmatch(raw_target) is not None:
            self.target_uri = f"{scheme}://{authority}{raw_target}"
        elif raw_target == "*" and method == "OPTIONS":
            self.target_uri, self._parts = f"{scheme}://{authority}", ("/", "")
        elif method == "CONNECT" and _AUTHORITY.fullmatch(raw_target) is not None:
            self.target_uri = None
        else:
            self._set_absolute_target(raw_target)

    @property
    def path(self) -> str | None:
        """The absolute path as on the wire, at least ``/``; None for CONNECT."""
        return self._split_target()[0]

    @property
    def query(self) -> str | None:
        """The query as on the wire with its ``?``; empty if there is none; None for CONNECT."""
        return self._split_target()[1]

    def _split_target(self) -> tuple[str, str] | tuple[None, None]:
        if self.target_uri is None:
            return None, None
        if self._parts is None:
            path, mark, query = self.raw_target.partition("?")
            self._parts = path, mark + query
        return self._parts

    def _set_absolute_target(self, raw_target: str) -> None:
        match = _ABSOLUTE_FORM.fullmatch(raw_target)
        if match is None:
            raise RequestMalformed(
                "The request target holds characters that must be percent-encoded, or a fragment, "
                "or is neither a path nor an absolute URI."
            )
        scheme = match[1].lower()
        if scheme != self.scheme or normalise_authority(match[2], scheme) != self.authority:
            raise RequestMalformed(
                "The absolute-form request target names another origin than the connection and its Host.",
                target_origin=f"{scheme}://{match[2].lower()}",
                server_origin=f"{self.scheme}://{self.authority}",
            )
        path, query = self._parts = match[3] or "/", match[4] or ""
        self.target_uri = f"{self.scheme}://{self.authority}{path}{query}"

    @classmethod
    def from_lines(
        cls,
        *,
        method: str,
        raw_target: str,
        scheme: str,
        lines: Iterable[tuple[str, str]],
        body: bytes = b"",
        trailers: Iterable[tuple[str, str]] | None = None,
    ) -> "Request":
        """A request from its separate field lines, refused unless a careful HTTP server would pass it on.

        For whoever has the message itself and not a server's view of it: the inspector, forward
        authentication, test vectors. Raises :class:`RequestMalformed`.
        """
        separate = fields_from_lines(lines)
        fields = {name: ", ".join(values) for name, values in separate.items()}
        _check_framing(separate)
        return cls(
            method=method,
            raw_target=raw_target,
            scheme=scheme,
            authority=_authority(fields, raw_target, scheme),
            fields=fields,
            body=body,
            lines=separate,
            trailers=None if trailers is None else _combined(trailers),
        )


class Response:
    """One response; ``request`` is the one that it answers, for ``;req`` components."""

    __slots__ = ("body", "fields", "lines", "memo", "request", "status", "trailers")

    def __init__(
        self,
        *,
        status: int,
        fields: Mapping[str, str],
        body: bytes = b"",
        request: Request | None = None,
        lines: Mapping[str, Sequence[str]] | None = None,
        trailers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.fields = fields
        self.body = body
        self.request = request
        self.lines = lines
        self.trailers = trailers
        # What several components read out of the same text is parsed once for each message.
        self.memo: dict[tuple[str, ...], Any] = {}

    @property
    def has_body(self) -> bool:
        return bool(self.body)

    @classmethod
    def from_lines(
        cls,
        *,
        status: int,
        lines: Iterable[tuple[str, str]],
        body: bytes = b"",
        request: Request | None = None,
        trailers: Iterable[tuple[str, str]] | None = None,
    ) -> "Response":
        """A response from its separate field lines. Raises :class:`RequestMalformed`."""
        separate = fields_from_lines(lines)
        return cls(
            status=status,
            fields={name: ", ".join(values) for name, values in separate.items()},
            body=body,
            request=request,
            lines=separate,
            trailers=None if trailers is None else _combined(trailers),
        )


Message = Request | Response


def fields_from_lines(lines: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Field lines by lower-case name, values trimmed and unfolded (RFC 9421 section 2.1).

    Raises :class:`RequestMalformed` for names that are no tokens, for control bytes, and for names
    with an underscore: CGI-style servers cannot tell ``content_digest`` from ``content-digest``.
    """
    separate: dict[str, list[str]] = {}
    for name, raw_value in lines:
        if _FIELD_NAME.fullmatch(name) is None:
            raise RequestMalformed("A header field name is not a token, or holds an underscore.")
        value = _unfolded(raw_value).strip(" \t")
        if _CONTROL.search(value) is not None:
            raise RequestMalformed(f'The header field "{name.lower()}" holds a control character.')
        separate.setdefault(name.lower(), []).append(value)
    return separate


def _unfolded(value: str) -> str:
    """Obsolete line folding becomes one blank (RFC 9112 section 5.2); any other line break stays, to be refused."""
    first, *rest = value.split("\r\n")
    if not all(line.startswith((" ", "\t")) for line in rest):
        return value
    return " ".join([first.rstrip(" \t"), *(line.strip(" \t") for line in rest)]) if rest else value


def _combined(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: ", ".join(values) for name, values in fields_from_lines(lines).items()}


def _check_framing(separate: Mapping[str, Sequence[str]]) -> None:
    for name in _SINGLE:
        if len(separate.get(name, ())) > 1:
            raise RequestMalformed(f'There is more than one "{name}" header field.')
    for length in separate.get("content-length", ()):
        if _DIGITS.fullmatch(length) is None:
            raise RequestMalformed("Content-Length is not a plain number.")
    if "content-length" in separate and "transfer-encoding" in separate:
        raise RequestMalformed("Content-Length and Transfer-Encoding together are ambiguous framing.")


def _authority(fields: Mapping[str, str], raw_target: str, scheme: str) -> str:
    host = fields.get("host")
    if host is None:
        match = _ABSOLUTE_FORM.fullmatch(raw_target)
        if match is None:
            raise RequestMalformed("There is no Host header field.")
        host = match[2]
    return normalise_authority(host, scheme)


def _has_body(fields: Mapping[str, str], body: bytes) -> bool:
    if body or "transfer-encoding" in fields:
        return True
    return fields.get("content-length", "").strip("0") != ""
