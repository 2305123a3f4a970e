"""Covered components (RFC 9421 section 2): their identity, and the value that a message gives them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from . import sf
from .errors import ComponentUnknown, SignatureMalformed, StructuredFieldError
from .message import Message, Request, Response

# The registered structured fields that a signer may want re-serialised by ";sf".
STRUCTURED_FIELDS: dict[str, str] = {
    "accept-ch": "list",
    "accept-signature": "dictionary",
    "cache-status": "list",
    "cdn-cache-control": "dictionary",
    "client-cert": "item",
    "client-cert-chain": "list",
    "content-digest": "dictionary",
    "deprecation": "item",
    "idempotency-key": "item",
    "priority": "dictionary",
    "proxy-status": "list",
    "repr-digest": "dictionary",
    "signature": "dictionary",
    "signature-agent": "dictionary",
    "signature-input": "dictionary",
    "want-content-digest": "dictionary",
    "want-repr-digest": "dictionary",
}

_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_FIELD_PARAMS = frozenset({"sf", "key", "bs", "tr", "req"})
# What application/x-www-form-urlencoded leaves unescaped (RFC 9421 section 2.2.8).
_FORM_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-._")
_FORM_SAFE_ONLY = re.compile(rb"[A-Za-z0-9*\-._]*")
_MAX_QUERY_PARAMS = 1000
_SHOWN_CHARS = 200

_Value = TypeVar("_Value")
# What is covered as a whole line is looked up without a detour; everything else goes through `value`.
_DERIVED: dict[str, Callable[[Request], str | None]] = {
    "@method": attrgetter("method"),
    "@target-uri": attrgetter("target_uri"),
    "@authority": attrgetter("authority"),
    "@scheme": attrgetter("scheme"),
    "@request-target": attrgetter("raw_target"),
    "@path": attrgetter("path"),
    "@query": lambda request: None if request.query is None else request.query or "?",
}


class Component:
    """One component identifier: a name and parameters, whose order does not count for identity."""

    __slots__ = ("identity", "name", "params", "prefix", "text")

    def __init__(self, name: str, params: Mapping[str, sf.BareItem]) -> None:
        self.name = name
        self.params = params
        self.text = sf.serialize_bare_item(name) + sf.serialize_parameters(params)
        self.prefix = f"{self.text}: "
        self.identity = (name, frozenset((key, type(value), value) for key, value in params.items()))

    def __repr__(self) -> str:
        return self.text

    def value(self, message: Message, structured_fields: Mapping[str, str] = STRUCTURED_FIELDS) -> str:
        """What ``message`` gives this component, on one line. Raises :class:`ComponentUnknown`."""
        params = dict(self.params)
        if params.pop("req", None) is not None:
            message = self._request_of(message)
        if self.name.startswith("@"):
            return self._derived(message, params)
        return self._field(message, params, structured_fields)

    def _request_of(self, message: Message) -> Request:
        if self.params["req"] is not True:
            raise self._unknown("the parameter req takes no value")
        if isinstance(message, Request):
            raise self._unknown("the parameter req belongs into the signature of a response")
        if message.request is None:
            raise self._unknown("the request that this response answers is not at hand")
        return message.request

    # Derived components (section 2.2)

    def _derived(self, message: Message, params: dict[str, sf.BareItem]) -> str:
        if self.name == "@status":
            if isinstance(message, Request):
                raise self._unknown("a request has no status")
            self._no_params(params)
            return str(message.status)
        if isinstance(message, Response):
            raise self._unknown('a response has only "@status"; add ;req to mean its request')
        if self.name == "@query-param":
            return self._query_param(message, params)
        getter = _DERIVED.get(self.name)
        if getter is None:
            raise self._unknown("there is no such derived component")
        self._no_params(params)
        value = getter(message)
        if value is None:
            raise self._unknown("this form of request target has none")
        return value

    def _query_param(self, request: Request, params: dict[str, sf.BareItem]) -> str:
        name = params.pop("name", None)
        self._no_params(params)
        if not isinstance(name, str) or isinstance(name, sf.Token):
            raise self._unknown('it needs the parameter name, a String: "@query-param";name="…"')
        wanted = _form_encode(unquote_to_bytes(name))
        values = self._query_params(request).get(wanted)
        if not values:
            raise self._unknown("the query has no such parameter")
        if len(values) > 1:
            raise self._unknown(
                "the query has this parameter more than once, which is ambiguous; cover @query"
            )
        return values[0]

    def _query_params(self, request: Request) -> dict[str, list[str]]:
        if request.query is None:
            raise self._unknown("this form of request target has no query")
        parsed: dict[str, list[str]] | None = request.memo.get(("query",))
        if parsed is None:
            pairs = request.query[1:].split("&") if len(request.query) > 1 else []
            if len(pairs) > _MAX_QUERY_PARAMS:
                raise self._unknown("the query has too many parameters; cover @query")
            parsed = request.memo["query",] = {}
            for pair in pairs:
                name, _, value = pair.partition("=")
                parsed.setdefault(_form_normalise(name), []).append(_form_normalise(value))
        return parsed

    # Fields (section 2.1)

    def _field(
        self, message: Message, params: dict[str, sf.BareItem], structured_fields: Mapping[str, str]
    ) -> str:
        self._check_field(params)
        fields = message.fields
        if "tr" in params:
            if message.trailers is None:
                raise self._unknown(
                    "this server does not see trailer fields; send a header field instead of ;tr"
                )
            fields = message.trailers
        value = fields.get(self.name)
        if value is None:
            raise self._unknown("the message has no such field; send it, or do not cover it")
        if "bs" in params:
            return self._byte_sequences(message)
        value = value.strip(" \t")
        if "key" in params:
            return self._dictionary_member(message, value, params["key"])
        if "sf" in params:
            return self._structured(value, structured_fields)
        return value

    def _check_field(self, params: Mapping[str, sf.BareItem]) -> None:
        if _FIELD_NAME.fullmatch(self.name) is None:
            raise self._unknown("field names are tokens in lower case")
        unknown = params.keys() - _FIELD_PARAMS
        if unknown:
            raise self._unknown(f"the parameter {min(unknown)} is not one of RFC 9421")
        if any(params[flag] is not True for flag in ("sf", "bs", "tr") if flag in params):
            raise self._unknown("the parameters sf, bs and tr take no value")
        if "bs" in params and ("sf" in params or "key" in params):
            raise self._unknown("bs excludes sf and key")

    def _byte_sequences(self, message: Message) -> str:
        if message.lines is None or self.name not in message.lines or "tr" in self.params:
            raise self._unknown(
                "this server does not see the separate lines of a field; cover it without ;bs"
            )
        try:
            values = [line.strip(" \t").encode("latin-1") for line in message.lines[self.name]]
        except UnicodeEncodeError:
            raise self._unknown("the field is not made of bytes") from None
        return ", ".join(map(sf.serialize_bare_item, values))

    def _dictionary_member(self, message: Message, value: str, key: sf.BareItem) -> str:
        if not isinstance(key, str) or isinstance(key, sf.Token):
            raise self._unknown("the parameter key is a String")
        members: dict[str, sf.Member] | None = message.memo.get(("dictionary", value))
        if members is None:
            members = message.memo["dictionary", value] = self._parsed(sf.parse_dictionary, value)
        member = members.get(key)
        if member is None:
            raise self._unknown("the field has no such member")
        return sf.serialize_member(member)

    def _structured(self, value: str, structured_fields: Mapping[str, str]) -> str:
        match structured_fields.get(self.name):
            case "dictionary":
                return sf.serialize_dictionary(self._parsed(sf.parse_dictionary, value))
            case "list":
                return sf.serialize_list(self._parsed(sf.parse_list, value))
            case "item":
                return sf.serialize_member(self._parsed(sf.parse_item, value))
        raise self._unknown(
            "this server does not know the structured type of the field; cover it without ;sf"
        )

    def _parsed(self, parse: Callable[[str], _Value], value: str) -> _Value:
        try:
            return parse(value)
        except StructuredFieldError as error:
            raise self._unknown("the field is not the structured field that it should be") from error

    def _no_params(self, params: Mapping[str, sf.BareItem]) -> None:
        if params:
            raise self._unknown(f"it takes no parameter {min(params)}")

    def _unknown(self, reason: str) -> ComponentUnknown:
        shown = self.text[:_SHOWN_CHARS]
        return ComponentUnknown(f"The component {shown} cannot be resolved: {reason}.", component=shown)


class Components:
    """The covered components of one signature, in order. Immutable: one object serves many requests."""

    __slots__ = ("_plan", "items", "most_params", "names", "plain", "text")

    def __init__(self, items: Sequence[Component]) -> None:
        self.items = tuple(items)
        self.text = "(" + " ".join(component.text for component in self.items) + ")"
        self.names = frozenset(component.name for component in self.items)
        # Only without parameters does a component cover what its name says: not "content-digest";key="md5".
        self.plain = frozenset(component.name for component in self.items if not component.params)
        self.most_params = max((len(component.params) for component in self.items), default=0)
        self._plan = tuple((component.prefix, *_shortcut(component), component) for component in self.items)
        self._refuse_duplicates()

    def __iter__(self) -> Iterator[Component]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return self.text

    def lines(self, message: Message, structured_fields: Mapping[str, str] = STRUCTURED_FIELDS) -> list[str]:
        """The lines of the base, without ``@signature-params``. Raises :class:`ComponentUnknown`."""
        if isinstance(message, Response):
            return [each.prefix + each.value(message, structured_fields) for each in self.items]
        lines: list[str] = []
        fields = message.fields
        for prefix, derived, field, component in self._plan:
            value = None
            if derived is not None:
                value = derived(message)
            elif field is not None and (value := fields.get(field)) is not None:
                value = value.strip(" \t")
            if value is None:
                value = component.value(message, structured_fields)
            lines.append(prefix + value)
        return lines

    def _refuse_duplicates(self) -> None:
        seen = set()
        for component in self.items:
            if component.identity in seen:
                raise SignatureMalformed(
                    f"A component is covered twice (RFC 9421 section 2.5): {component.text[:_SHOWN_CHARS]}.",
                    component=component.text[:_SHOWN_CHARS],
                )
            seen.add(component.identity)


def _shortcut(component: Component) -> tuple[Callable[[Request], str | None] | None, str | None]:
    if component.params:
        return None, None
    if component.name.startswith("@"):
        return _DERIVED.get(component.name), None
    return None, component.name if _FIELD_NAME.fullmatch(component.name) else None


def _form_normalise(text: str) -> str:
    """Decoded as application/x-www-form-urlencoded, then encoded again in the one way of section 2.2.8."""
    return _form_encode(unquote_to_bytes(text.replace("+", " ")))


def _form_encode(raw: bytes) -> str:
    if _FORM_SAFE_ONLY.fullmatch(raw) is not None:
        return raw.decode("ascii")
    # The decoding is UTF-8 with replacement characters (WHATWG URL, section 5.1).
    utf8 = raw.decode("utf-8", "replace").encode("utf-8")
    return "".join(chr(byte) if byte in _FORM_SAFE else f"%{byte:02X}" for byte in utf8)
