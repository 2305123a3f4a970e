"""Numbers and strings."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from schemas.compatibility.json_schema.atoms import exact
from schemas.compatibility.json_schema.regex import matches_everything
from schemas.formats.problems import shown

if TYPE_CHECKING:
    from schemas.compatibility.json_schema.document import Atom
    from schemas.compatibility.json_schema.prover import Finding, Place

KNOWN_FORMATS: Final = frozenset(
    {
        "date",
        "date-time",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uuid",
        "uri-template",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    }
)
SINCE_2019: Final = frozenset({"uuid", "duration"})


def number_findings(place: Place, part: Atom) -> Iterator[Finding]:
    keywords = part.keywords
    for keyword in ("minimum", "exclusiveMinimum"):
        if keyword in keywords and not _above(place, exact(keywords[keyword]), excluded=keyword != "minimum"):
            message = f"The {{reader}} version refuses numbers below {shown(keywords[keyword])}"
            yield place.finding("RANGE_NARROWED", f"{message} (`{keyword}`).", part, keyword)
    for keyword in ("maximum", "exclusiveMaximum"):
        if keyword in keywords and not _below(place, exact(keywords[keyword]), excluded=keyword != "maximum"):
            message = f"The {{reader}} version refuses numbers above {shown(keywords[keyword])}"
            yield place.finding("RANGE_NARROWED", f"{message} (`{keyword}`).", part, keyword)
    if "multipleOf" in keywords and not _is_multiple(place, exact(keywords["multipleOf"])):
        message = f"The {{reader}} version demands multiples of {shown(keywords['multipleOf'])}."
        yield place.finding("MULTIPLE_OF_CHANGED", message, part, "multipleOf")


def _above(place: Place, bound: Fraction, *, excluded: bool) -> bool:
    low = place.writer.tight_lower(integers="fraction" not in place.writer.types)
    return low is not None and (low[0] > bound or (low[0] == bound and (low[1] or not excluded)))


def _below(place: Place, bound: Fraction, *, excluded: bool) -> bool:
    high = place.writer.tight_upper(integers="fraction" not in place.writer.types)
    return high is not None and (high[0] < bound or (high[0] == bound and (high[1] or not excluded)))


def _is_multiple(place: Place, divisor: Fraction) -> bool:
    own = place.writer.multiple
    if own is not None and (own / divisor).denominator == 1:
        return True
    return "fraction" not in place.writer.types and divisor.numerator == 1


def string_findings(place: Place, part: Atom) -> Iterator[Finding]:
    keywords = part.keywords
    if keywords.get("minLength", 0) > place.writer.min_length:
        message = f"The {{reader}} version demands at least {keywords['minLength']} characters."
        yield place.finding("LENGTH_NARROWED", message, part, "minLength")
    if "maxLength" in keywords and keywords["maxLength"] < place.writer.max_length:
        message = f"The {{reader}} version admits at most {keywords['maxLength']} characters."
        yield place.finding("LENGTH_NARROWED", message, part, "maxLength")
    pattern = keywords.get("pattern")
    if pattern is not None and pattern not in place.writer.patterns and not matches_everything(pattern):
        message = f"The {{reader}} version demands the pattern {shown(pattern)}."
        yield place.finding("PATTERN_CHANGED", message, part, "pattern")
    if "format" in keywords and not _has_format(place, part):
        message = f"The {{reader}} version demands the format {shown(keywords['format'])}."
        yield place.finding("FORMAT_CHANGED", message, part, "format")
    if "content" in keywords and not any(
        own.keywords.get("content") == keywords["content"] for own in place.writer.parts
    ):
        message = "The {reader} version demands another content encoding or media type."
        yield place.finding("CONTENT_CHANGED", message, part)


def _has_format(place: Place, part: Atom) -> bool:
    wanted = part.keywords["format"]
    if wanted not in KNOWN_FORMATS:
        return True
    return any(
        own.keywords.get("format") == wanted and _asserts_alike(own, part) for own in place.writer.parts
    )


def _asserts_alike(own: Atom, other: Atom) -> bool:
    """Drafts up to 7 do not know all formats, and ignore the others."""
    if own.keywords["format"] not in SINCE_2019:
        return True
    return own.asserts_content() == other.asserts_content()
