"""Structured field values for HTTP (RFC 9651): a strict parser and the canonical serialisation.

Types map to Python as: Integer ``int``, Decimal ``decimal.Decimal``, String ``str``, Token :class:`Token`,
Byte Sequence ``bytes``, Boolean ``bool``, Date :class:`Date`, Display String :class:`DisplayString`.
Time and memory are linear in the length of the text; the caller bounds that length.
"""

import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from .errors import StructuredFieldError


class Token(str):
    """A Token (section 3.3.4): compares as text, but is never taken for a String."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Date:
    """A Date (section 3.3.7), in seconds since the epoch. Deliberately no ``int``."""

    seconds: int


@dataclass(frozen=True, slots=True)
class DisplayString:
    """A Display String (section 3.3.8)."""

    text: str


BareItem = bool | int | Decimal | str | bytes | Date | DisplayString
Parameters = dict[str, BareItem]


class Item(NamedTuple):
    value: BareItem
    params: Parameters


class InnerList(NamedTuple):
    items: list[Item]
    params: Parameters


Member = Item | InnerList

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_NUMBER = re.compile(r"-?([0-9]{1,15})(?:\.([0-9]{1,3}))?(?![0-9.])")
_STRING = re.compile(r'"([ !#-\[\]-~]*(?:\\["\\][ !#-\[\]-~]*)*)"')
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_BYTES = re.compile(r":([A-Za-z0-9+/]*)={0,2}:")
_DATE = re.compile(r"@(-?[0-9]{1,15})(?![0-9.])")
_DISPLAY = re.compile(r'%"([ !#$&-~]*(?:%[0-9a-f]{2}[ !#$&-~]*)*)"')
_ESCAPE = re.compile(r'\\(["\\])')
_NOT_IN_DISPLAY = re.compile(rb"[^ !#$&-~]")
_STRING_TEXT = re.compile(r"[ -~]*")
_INTEGER_END = 10**15
_SPACES = re.compile(r" *")
_OWS = re.compile(r"[ \t]*")


def parse_item(text: str) -> Item:
    """The Item in ``text``. Raises :class:`StructuredFieldError`."""
    return _Parser(text).whole_item()


def parse_list(text: str, *, unique: bool = False) -> list[Member]:
    """The members of the List in ``text``. Raises :class:`StructuredFieldError`."""
    return _Parser(text, unique=unique).whole_list()


def parse_dictionary(text: str, *, unique: bool = False) -> dict[str, Member]:
    """The Dictionary in ``text``. Raises :class:`StructuredFieldError`.

    RFC 9651 lets the last of several equal keys win, in the Dictionary and in parameters.
    ``unique`` refuses them instead: two readers that disagree on which one counts are an attack.
    """
    return _Parser(text, unique=unique).whole_dictionary()


class _Parser:
    """A cursor over one field value."""

    __slots__ = ("end", "pos", "text", "unique")

    def __init__(self, text: str, *, unique: bool = False) -> None:
        self.text = text.rstrip(" ")
        self.end = len(self.text)
        self.pos = 0
        self.unique = unique
        self._skip(_SPACES)

    # Top level types

    def whole_item(self) -> Item:
        item = self._item()
        if self.pos != self.end:
            raise self._error("unexpected text after the item")
        return item

    def whole_list(self) -> list[Member]:
        members: list[Member] = []
        while self.pos < self.end:
            members.append(self._member())
            self._separator()
        return members

    def whole_dictionary(self) -> dict[str, Member]:
        members: dict[str, Member] = {}
        while self.pos < self.end:
            key = self._key()
            if key in members and self.unique:
                raise self._error(f'"{key}" appears twice')
            if self._peek() == "=":
                self.pos += 1
                members[key] = self._member()
            else:
                members[key] = Item(True, self._parameters())
            self._separator()
        return members

    # Parts

    def _member(self) -> Member:
        return self._inner_list() if self._peek() == "(" else self._item()

    def _inner_list(self) -> InnerList:
        self.pos += 1
        items: list[Item] = []
        while True:
            self._skip(_SPACES)
            if self._peek() == ")":
                self.pos += 1
                return InnerList(items, self._parameters())
            items.append(self._item())
            if self._peek() not in (" ", ")"):
                raise self._error("the members of an inner list are separated by blanks and end with ')'")

    def _item(self) -> Item:
        return Item(self._bare_item(), self._parameters())

    def _parameters(self) -> Parameters:
        params: Parameters = {}
        while self._peek() == ";":
            self.pos += 1
            self._skip(_SPACES)
            key = self._key()
            if key in params and self.unique:
                raise self._error(f'the parameter "{key}" appears twice')
            value: BareItem = True
            if self._peek() == "=":
                self.pos += 1
                value = self._bare_item()
            params[key] = value
        return params

    def _bare_item(self) -> BareItem:
        first = self._peek()
        if first == '"':
            return _ESCAPE.sub(r"\1", self._take(_STRING, "a String")[1])
        if first == ":":
            return self._byte_sequence()
        if first == "?":
            return self._boolean()
        if first == "@":
            return Date(int(self._take(_DATE, "a Date")[1]))
        if first == "%":
            return self._display_string()
        if first.isdigit() or first == "-":
            return self._number()
        return Token(self._take(_TOKEN, "an item")[0])

    def _number(self) -> int | Decimal:
        match = self._take(_NUMBER, "a number")
        if match[2] is None:
            return int(match[0])
        if len(match[1]) > 12:
            raise self._error("a Decimal has at most twelve digits before the point")
        return Decimal(match[0])

    def _byte_sequence(self) -> bytes:
        symbols = self._take(_BYTES, "a Byte Sequence (base64, not base64url, between colons)")[1]
        return self.decode_base64(symbols)

    def decode_base64(self, symbols: str) -> bytes:
        # Padding may be absent or too long (RFC 9651 section 4.2.7 asks for lenience here and only here).
        if len(symbols) % 4 == 1:
            raise self._error("a Byte Sequence has an impossible length")
        return binascii.a2b_base64(symbols + "=" * (-len(symbols) % 4))

    def _boolean(self) -> bool:
        text = self.text[self.pos : self.pos + 2]
        if text not in ("?0", "?1"):
            raise self._error("a Boolean is ?0 or ?1")
        self.pos += 2
        return text == "?1"

    def _display_string(self) -> DisplayString:
        raw = self._take(_DISPLAY, "a Display String")[1]
        try:
            return DisplayString(unquote_to_bytes(raw).decode("utf-8"))
        except UnicodeDecodeError:
            raise self._error("a Display String is not UTF-8") from None

    # Cursor

    def _peek(self) -> str:
        return self.text[self.pos] if self.pos < self.end else ""

    def _key(self) -> str:
        return self._take(_KEY, "a lower-case key")[0]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.pos)
        if match is not None:
            self.pos = match.end()

    def _separator(self) -> None:
        self._skip(_OWS)
        if self.pos == self.end:
            return
        if self.text[self.pos] != ",":
            raise self._error("members are separated by commas")
        self.pos += 1
        self._skip(_OWS)
        if self.pos == self.end:
            raise self._error("a comma with nothing after it")

    def _take(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        match = pattern.match(self.text, self.pos)
        if match is None:
            raise self._error(f"expected {what}")
        self.pos = match.end()
        return match

    def _error(self, reason: str) -> StructuredFieldError:
        return StructuredFieldError(
            f"Not a structured field (RFC 9651): {reason}, at character {self.pos + 1}.",
            position=self.pos,
        )


def serialize_dictionary(members: Mapping[str, Member]) -> str:
    """The canonical text of a Dictionary (section 4.1.2)."""
    return ", ".join(_dictionary_member(key, member) for key, member in members.items())


def serialize_list(members: Iterable[Member]) -> str:
    """The canonical text of a List (section 4.1.1)."""
    return ", ".join(map(serialize_member, members))


def serialize_member(member: Member) -> str:
    """The canonical text of an Item or Inner List with its parameters."""
    if isinstance(member, InnerList):
        items = " ".join(map(serialize_member, member.items))
        return f"({items}){serialize_parameters(member.params)}"
    return serialize_bare_item(member.value) + serialize_parameters(member.params)


def serialize_parameters(params: Mapping[str, BareItem]) -> str:
    """The canonical text of parameters (section 4.1.1.2), empty if there are none."""
    return "".join(
        f";{key}" if value is True else f";{key}={serialize_bare_item(value)}"
        for key, value in params.items()
    )


def serialize_bare_item(value: BareItem) -> str:
    """The canonical text of one value. Raises :class:`StructuredFieldError` for what has none."""
    match value:
        case bool():
            return "?1" if value else "?0"
        case int():
            return _integer(value)
        case Decimal():
            return _decimal(value)
        case Token():
            return str(value)
        case str():
            return _string(value)
        case bytes():
            return f":{binascii.b2a_base64(value, newline=False).decode('ascii')}:"
        case Date():
            return f"@{value.seconds}"
        case DisplayString():
            encoded = _NOT_IN_DISPLAY.sub(lambda found: b"%%%02x" % found[0][0], value.text.encode("utf-8"))
            return f'%"{encoded.decode("ascii")}"'


def _dictionary_member(key: str, member: Member) -> str:
    if isinstance(member, Item) and member.value is True:
        return key + serialize_parameters(member.params)
    return f"{key}={serialize_member(member)}"


def _integer(value: int) -> str:
    if not -_INTEGER_END < value < _INTEGER_END:
        raise StructuredFieldError("An Integer has at most fifteen digits.")
    return str(value)


def _decimal(value: Decimal) -> str:
    text = f"{value.quantize(Decimal('0.001'), rounding=ROUND_HALF_EVEN):f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _string(value: str) -> str:
    if _STRING_TEXT.fullmatch(value) is None:
        raise StructuredFieldError("A String holds printable ASCII characters only.")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
