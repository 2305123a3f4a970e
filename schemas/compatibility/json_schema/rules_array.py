"""Arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from schemas.compatibility.json_schema.conjunction import Conjunction

if TYPE_CHECKING:
    from schemas.compatibility.json_schema.document import Atom
    from schemas.compatibility.json_schema.prover import Finding, Place, Prover


def array_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    keywords, writer = part.keywords, place.writer
    if keywords.get("minItems", 0) > writer.min_items:
        message = f"The {{reader}} version demands at least {keywords['minItems']} items."
        yield place.finding("ITEMS_COUNT_NARROWED", message, part, "minItems")
    if "maxItems" in keywords and keywords["maxItems"] < writer.max_items:
        message = f"The {{reader}} version admits at most {keywords['maxItems']} items."
        yield place.finding("ITEMS_COUNT_NARROWED", message, part, "maxItems")
    if keywords.get("uniqueItems") and not writer.unique and writer.max_items > 1:
        message = "The {reader} version demands that all items differ."
        yield place.finding("ITEMS_NOT_UNIQUE", message, part, "uniqueItems")
    yield from _item_findings(prover, place, part)
    if "contains" in keywords:
        yield from _contains_findings(prover, place, part)


def _item_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    if "items" not in part.keywords and "prefixItems" not in part.keywords:
        return
    writer, reader = place.writer, Conjunction.of(part)
    count = max(writer.prefix, reader.prefix) + 1
    for index in range(min(count, writer.max_items)):
        below = place.below(index, writer.item(index), reader.item(index))
        if below.reader.sources:
            yield from prover.findings(below)


def _contains_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    wanted = part.keywords["contains"]
    least, most = part.keywords.get("minContains", 1), part.keywords.get("maxContains")
    if least and not _contains_enough(prover, place, wanted, least):
        message = f"The {{reader}} version demands {least} or more items of one kind (`contains`)."
        yield place.finding("CONTAINS_CHANGED", message, part, "contains")
    if most is not None and not _contains_few(prover, place, wanted, most):
        message = f"The {{reader}} version admits at most {most} items of one kind (`maxContains`)."
        yield place.finding("CONTAINS_CHANGED", message, part, "maxContains")


def _contains_enough(prover: Prover, place: Place, wanted: Atom, least: int) -> bool:
    writer = place.writer
    for own in writer.parts:
        if "contains" in own.keywords and own.keywords.get("minContains", 1) >= least:
            found = Conjunction.of(own.keywords["contains"])
            if prover.proves(place.below(0, found, Conjunction.of(wanted))):
                return True
    if writer.min_items < least:
        return False
    indexes = range(writer.prefix + 1)
    return all(prover.proves(place.below(i, writer.item(i), Conjunction.of(wanted))) for i in indexes)


def _contains_few(prover: Prover, place: Place, wanted: Atom, most: int) -> bool:
    writer = place.writer
    if writer.max_items <= most:
        return True
    for own in writer.parts:
        if "contains" in own.keywords and own.keywords.get("maxContains", most + 1) <= most:
            found = Conjunction.of(own.keywords["contains"])
            if prover.proves(place.below(0, Conjunction.of(wanted), found)):
                return True
    return all(prover.is_empty(writer.item(i).plus(wanted)) for i in range(writer.prefix + 1))
