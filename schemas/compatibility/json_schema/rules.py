"""The assertions of a reader, each against all that a writer may produce."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from schemas.compatibility.json_schema.atoms import NUMERIC
from schemas.compatibility.json_schema.conjunction import Conjunction
from schemas.compatibility.json_schema.rules_array import array_findings
from schemas.compatibility.json_schema.rules_logic import logic_findings
from schemas.compatibility.json_schema.rules_object import object_findings
from schemas.compatibility.json_schema.rules_scalar import number_findings, string_findings
from schemas.formats.problems import shown

if TYPE_CHECKING:
    from schemas.compatibility.json_schema.document import Atom
    from schemas.compatibility.json_schema.prover import Finding, Place, Prover

COMPARISONS_PER_STEP = 300
OPAQUE = ("unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef")


def part_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    """Where one part of the reader may refuse values of the writer."""
    keywords = part.keywords
    finite = place.writer.finite
    if "never" in keywords:
        yield place.finding("NOTHING_ADMITTED", "The {reader} version admits no value here.", part)
    elif finite is not None:
        yield from _finite_findings(prover, place, part, finite)
    else:
        yield from _opaque_findings(place, part)
        if "type" in keywords:
            yield from _type_findings(place, part)
        if "constants" in keywords:
            message = "The {reader} version admits only listed values here, the {writer} version others too."
            yield place.finding("VALUES_LIMITED", message, part)
        types = place.writer.types
        if types & NUMERIC:
            yield from number_findings(place, part)
        if "string" in types:
            yield from string_findings(place, part)
        if "array" in types:
            yield from array_findings(prover, place, part)
        if "object" in types:
            yield from object_findings(prover, place, part)
        yield from logic_findings(prover, place, part)


def denied_findings(prover: Prover, place: Place, denied: Atom) -> Iterator[Finding]:
    """The writer may produce values that the reader denies."""
    finite = place.writer.finite
    if finite is not None:
        admitted = tuple(value for value in finite if denied.admits(value) is not False)
        if admitted:
            message = f"The {{reader}} version excludes {shown(admitted[0])}."
            yield place.finding("VALUE_EXCLUDED", message, denied, values=admitted[:3])
    elif not prover.is_empty(place.writer.plus(denied), place.trail):
        message = "The {reader} version excludes values that the {writer} version admits (`not`)."
        yield place.finding("VALUES_EXCLUDED", message, denied)


def _finite_findings(prover: Prover, place: Place, part: Atom, values: list[object]) -> Iterator[Finding]:
    nested = sum(len(listed) for listed in part.keywords.get("constants", ()) if _holds_containers(listed))
    prover.budget.spend(len(values) * nested // COMPARISONS_PER_STEP)
    refused = tuple(value for value in values if part.admits(value) is not True)
    if not refused:
        return
    shown_values = ", ".join(shown(value) for value in refused[:3]) + (", …" if len(refused) > 3 else "")
    listed = any("constants" in own.keywords for own in place.writer.parts)
    code = "VALUE_REMOVED" if listed else "VALUE_REFUSED"
    yield place.finding(code, f"The {{reader}} version refuses {shown_values}.", part, values=refused[:3])


def _holds_containers(listed: list[object]) -> bool:
    """Such an enumeration is compared with value by value, others are looked up."""
    return any(isinstance(value, list | dict) for value in listed)


def _opaque_findings(place: Place, part: Atom) -> Iterator[Finding]:
    for keyword in OPAQUE:
        if keyword in part.keywords:
            message = (
                f"What `{keyword}` of the {{reader}} version refuses depends on more than can be compared."
            )
            yield place.finding("KEYWORD_CHANGED", message, part, keyword)
    if "$ref" in part.keywords and part.reference is None:
        message = f"The reference {shown(part.keywords['$ref'])} cannot be resolved."
        yield place.finding("REFERENCE_UNRESOLVED", message, part, "$ref")


def _type_findings(place: Place, part: Atom) -> Iterator[Finding]:
    admitted = Conjunction.of(part).types if part.document is None else _listed_types(part)
    surplus = {name for name in place.writer.types - admitted if not _empty_number(place.writer, name)}
    if not surplus:
        return
    changed = not (place.writer.types & admitted)
    names = sorted({"number" if name == "fraction" else name for name in surplus})
    message = (
        f"The {{writer}} version admits {' and '.join(names)} here, the {{reader}} version only "
        + " or ".join(part.keywords["type"])
    )
    yield place.finding("TYPE_CHANGED" if changed else "TYPE_NARROWED", message + ".", part, "type")


def _listed_types(part: Atom) -> frozenset[str]:
    listed = frozenset(part.keywords["type"])
    return (listed - {"number"}) | NUMERIC if "number" in listed else listed


def _empty_number(writer: Conjunction, name: str) -> bool:
    return name in NUMERIC and writer.no_number(integers=name == "integer")
