"""Objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from schemas.compatibility.json_schema.atoms import STRING, is_anything, is_never, property_atoms
from schemas.compatibility.json_schema.conjunction import Conjunction
from schemas.compatibility.json_schema.document import having
from schemas.compatibility.json_schema.regex import are_disjoint, example
from schemas.formats.patterns import pattern_matches
from schemas.formats.problems import shown

if TYPE_CHECKING:
    from schemas.compatibility.json_schema.document import Atom
    from schemas.compatibility.json_schema.prover import Finding, Place, Prover

EXTRA = "extra_property"
MATCHES_PER_STEP = 20


def object_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    yield from _count_findings(place, part)
    yield from _required_findings(place, part)
    yield from _dependency_findings(prover, place, part)
    if not {"properties", "patternProperties", "additionalProperties"}.isdisjoint(part.keywords):
        yield from _named_findings(prover, place, part)
        yield from _unnamed_findings(prover, place, part)
    if "propertyNames" in part.keywords:
        yield from _name_findings(prover, place, part)


def _count_findings(place: Place, part: Atom) -> Iterator[Finding]:
    keywords, writer = part.keywords, place.writer
    if keywords.get("minProperties", 0) > writer.min_properties:
        message = f"The {{reader}} version demands at least {keywords['minProperties']} properties."
        yield place.finding("PROPERTIES_COUNT_NARROWED", message, part, "minProperties")
    if "maxProperties" in keywords and keywords["maxProperties"] < writer.max_properties:
        message = f"The {{reader}} version admits at most {keywords['maxProperties']} properties."
        yield place.finding("PROPERTIES_COUNT_NARROWED", message, part, "maxProperties")


def _required_findings(place: Place, part: Atom) -> Iterator[Finding]:
    for name in part.keywords.get("required", ()):
        if name in place.writer.required:
            continue
        message = (
            f"The {{reader}} version demands the property {shown(name)}, the {{writer}} version does not."
        )
        yield place.finding("PROPERTY_REQUIRED", message, part, "required")


def _dependency_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    for name, needed in part.keywords.get("dependentRequired", {}).items():
        present = _with_property(place.writer, name)
        missing = [other for other in needed if other not in present.required]
        if missing and not prover.is_empty(present):
            message = f"Where there is {shown(name)}, the {{reader}} version demands {shown(missing[0])}."
            met = type(place)(present, Conjunction.of(part), place.trail, place.splits)
            yield met.finding("DEPENDENCY_ADDED", message, part)
    for name, dependent in part.keywords.get("dependentSchemas", {}).items():
        present = _with_property(place.writer, name)
        below = type(place)(present, Conjunction.of(dependent), place.trail, place.splits)
        if not prover.is_empty(present) and not prover.proves(below):
            message = f"Where there is {shown(name)}, the {{reader}} version demands more."
            yield below.finding("DEPENDENCY_ADDED", message, part)


def _with_property(writer: Conjunction, name: str) -> Conjunction:
    """The writer's objects that have the property `name`."""
    present = writer.plus(having(name))
    dependent = [
        part.keywords["dependentSchemas"][name]
        for part in present.parts
        if name in part.keywords.get("dependentSchemas", {})
    ]
    return present.plus(*dependent)


def _named_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    writer = place.writer
    names: dict[str, None] = dict.fromkeys(part.keywords.get("properties", {}))
    if "patternProperties" in part.keywords or "additionalProperties" in part.keywords:
        names = {**writer.named, **dict.fromkeys(writer.required), **names}
    patterns = len(part.keywords.get("patternProperties", ())) + len(writer.name_patterns)
    prover.budget.spend(len(names) * patterns // MATCHES_PER_STEP)
    for name in names:
        demands = [atom for atom in property_atoms(part, name) if not is_anything(atom)]
        if not demands:
            continue
        own = writer.value_of(name)
        if own.never:
            continue
        if prover.lenient and _is_new_in_open_model(place, part, name):
            message = f"The {{reader}} version adds the optional property {shown(name)} to an open model."
            yield place.finding("PROPERTY_ADDED_TO_OPEN_MODEL", message, part, "properties", breaking=False)
        elif all(is_never(demand) for demand in demands):
            yield from _forbidden_findings(prover, place, part, name, own)
        else:
            yield from prover.findings(place.below(name, own, Conjunction.of(*demands)))


def _forbidden_findings(
    prover: Prover, place: Place, part: Atom, name: str, own: Conjunction
) -> Iterator[Finding]:
    if prover.is_empty(own):
        return
    keyword = "properties" if name in part.keywords.get("properties", {}) else "additionalProperties"
    message = f"The {{writer}} version admits the property {shown(name)}, the {{reader}} version refuses it."
    below = place.below(name, own, Conjunction.of(*property_atoms(part, name)))
    yield below.finding("PROPERTY_REMOVED", message, part, keyword)


def _is_new_in_open_model(place: Place, part: Atom, name: str) -> bool:
    """`name` is optional for the reader, and the writer neither names it nor rules it out."""
    if name not in part.keywords.get("properties", {}) or name in place.reader.required:
        return False
    return name not in place.writer.named and all(map(is_anything, place.writer.value_of(name).parts))


def _unnamed_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    """Properties that neither side names: by pattern, or the rest."""
    patterns = part.keywords.get("patternProperties", {})
    rest = part.keywords.get("additionalProperties")
    for pattern, demand in patterns.items():
        if not is_anything(demand):
            yield from _region_findings(prover, place, part, demand, pattern, patterns)
    if rest is not None and not is_anything(rest):
        yield from _region_findings(prover, place, part, rest, None, patterns)


def _region_findings(
    prover: Prover, place: Place, part: Atom, demand: Atom, pattern: str | None, patterns: dict[str, Atom]
) -> Iterator[Finding]:
    """Where the reader demands `demand` of the properties of `pattern` (None: of no pattern)."""
    reader = Conjunction.of(demand)
    first: list[Finding] | None = None
    for regions in _regions(place.writer, pattern, patterns):
        found: list[Finding] = []
        for region, own in regions:
            if not own.never and not prover.is_empty(own):
                below = place.below(_fresh_name(place, part, region, pattern, patterns), own, reader)
                found.extend(_extra_findings(prover, below, part, demand, pattern))
        if not found:
            return
        first = found if first is None else first
    yield from first or ()


def _extra_findings(
    prover: Prover, below: Place, part: Atom, demand: Atom, pattern: str | None
) -> Iterator[Finding]:
    if is_never(demand):
        keyword = "additionalProperties" if pattern is None else "patternProperties"
        message = (
            "The {writer} version admits properties that the {reader} version does not name and refuses."
        )
        yield below.finding("ADDITIONAL_PROPERTIES_REFUSED", message, part, keyword)
    else:
        yield from prover.findings(below)


def _regions(
    writer: Conjunction, pattern: str | None, patterns: dict[str, Atom]
) -> Iterator[list[tuple[str | None, Conjunction]]]:
    """Ways to cover the writer's properties in question: (pattern or None, what holds for them).

    Each list alone covers all of them, so that one list that fits is a proof.
    """
    if pattern is not None:
        same = [
            part.keywords["patternProperties"][pattern]
            for part in writer.parts
            if pattern in part.keywords.get("patternProperties", {})
        ]
        if same:
            yield [(pattern, Conjunction.of(*same))]
    if not writer.name_patterns:
        yield [(None, writer.unnamed())]
        return
    for part in writer.parts:
        own = part.keywords.get("patternProperties", {})
        if not own and "additionalProperties" not in part.keywords:
            continue
        regions: list[tuple[str | None, Conjunction]] = []
        for name, entry in own.items():
            elsewhere = name in patterns if pattern is None else are_disjoint(name, pattern)
            if not elsewhere:
                regions.append((name, Conjunction.of(entry)))
        rest = [part.keywords["additionalProperties"]] if "additionalProperties" in part.keywords else []
        if pattern is None or pattern not in own:
            regions.append((None, Conjunction.of(*rest)))
        yield regions


def _fresh_name(
    place: Place, part: Atom, region: str | None, pattern: str | None, patterns: dict[str, Atom]
) -> str:
    """A name that neither side names, in the region of both patterns if one is found."""
    taken = place.writer.named.keys() | part.keywords.get("properties", {}).keys()
    bases = [example(entry) for entry in (pattern, region) if entry is not None] or [EXTRA]
    candidates = [f"{base}{suffix}" for base in bases for suffix in ("", "x", "1", "_", "xyz", "0a")]
    candidates += ["x", "0", "", "~", EXTRA]
    avoided = [*place.writer.name_patterns, *patterns] if region is None and pattern is None else []
    for name in candidates:
        if name in taken or any(pattern_matches(other, name) for other in avoided):
            continue
        if all(pattern_matches(entry, name) for entry in (region, pattern) if entry is not None):
            return name
    return EXTRA


def _name_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    wanted = part.keywords["propertyNames"]
    writer = place.writer
    refused = [
        name
        for name in {**writer.named, **dict.fromkeys(writer.required)}
        if wanted.admits(name) is not True and not writer.value_of(name).never
    ]
    own_names = [own.keywords["propertyNames"] for own in writer.parts if "propertyNames" in own.keywords]
    message = "The {reader} version refuses names of properties that the {writer} version admits."
    if writer.closed:
        if refused:
            yield place.finding("PROPERTY_NAMES_NARROWED", message, part, "propertyNames")
        return
    names = Conjunction.of(STRING, *own_names)
    proven = prover.proves(type(place)(names, Conjunction.of(wanted), place.trail, place.splits))
    if not proven:
        yield place.finding("PROPERTY_NAMES_NARROWED", message, part, "propertyNames")
