"""What a single subschema plainly says."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from schemas.compatibility.json_schema.document import Atom, synthetic
from schemas.formats.patterns import pattern_matches

NUMERIC: Final = frozenset({"integer", "fraction"})
TYPE_ATOMS: Final = {
    name: synthetic({"type": name}) for name in ("null", "boolean", "number", "string", "array", "object")
}
STRING: Final = TYPE_ATOMS["string"]


def property_atoms(part: Atom, name: str) -> list[Atom]:
    """What one part says about the property `name`."""
    keywords = part.keywords
    found = []
    if name in keywords.get("properties", ()):
        found.append(keywords["properties"][name])
    for pattern, entry in keywords.get("patternProperties", {}).items():
        if pattern_matches(pattern, name):
            found.append(entry)
    if not found and "additionalProperties" in keywords:
        found.append(keywords["additionalProperties"])
    return found


def is_never(atom: Atom) -> bool:
    """Whether the subschema plainly admits nothing."""
    return atom.schema is False or atom.schema == {"not": {}} or atom.schema == {"not": True}


def is_anything(atom: Atom) -> bool:
    """Whether the subschema plainly admits everything."""
    return not atom.keywords


def exact(value: Any) -> Fraction:
    """A JSON number as it was written, not as the nearest binary fraction."""
    return Fraction(value) if isinstance(value, int) else Fraction(str(value))


def spelt_out(listed: list[str]) -> frozenset[str]:
    """The types that `type` lists, "number" as integers and fractions."""
    return (frozenset(listed) - {"number"}) | NUMERIC if "number" in listed else frozenset(listed)
