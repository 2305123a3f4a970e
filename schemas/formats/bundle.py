"""A JSON Schema together with the registered schemas that it refers to, as one document."""

from typing import Any, Final
from urllib.parse import unquote

from schemas.formats.json_schema_size import Resources
from schemas.formats.json_schema_walk import every_subschema
from schemas.formats.limits import MAX_NODES
from schemas.formats.problems import FormatError, step
from schemas.formats.references import parse_reference

Name = tuple[str, str]

_ABOUT_THE_DOCUMENT: Final = frozenset({"$schema", "$id"})
_ANCHORS: Final = ("$anchor", "$dynamicAnchor")


def bundled(content: Any, resources: Resources) -> Any:
    """`content` with all of `resources` in its `$defs`, and every `$ref` leading there.

    A definition is called as the schema is, with its version behind it where several of one name are in use.
    Raises `FormatError` (`CONVERSION_IMPOSSIBLE`) if that is beyond measure.
    """
    if not resources or not isinstance(content, dict):
        return content
    places = _places(resources, taken=set(content.get("$defs", {})))
    mover = _Mover(resources, places)
    whole = mover.moved(content, None)
    definitions = {}
    for named, resource in resources.items():
        moved = mover.moved(resource, named)
        if isinstance(moved, dict):
            moved = {key: value for key, value in moved.items() if key not in _ABOUT_THE_DOCUMENT}
        definitions[places[named]] = moved
    return {**whole, "$defs": whole.get("$defs", {}) | definitions}


def _places(resources: Resources, *, taken: set[str]) -> dict[Name, str]:
    """What each resource is called among the definitions."""
    names = [name for name, _ in resources]
    places = {}
    for name, version in resources:
        place = name if names.count(name) == 1 else f"{name}-{version}"
        while place in taken:
            place += "_"
        taken.add(place)
        places[name, version] = place
    return places


class _Mover:
    def __init__(self, resources: Resources, places: dict[Name, str]) -> None:
        self._places = {named: step("", "$defs", place) for named, place in places.items()}
        self._anchors = {named: _pointers_of_anchors(resource) for named, resource in resources.items()}
        self._left = MAX_NODES

    def moved(self, value: Any, home: Name | None) -> Any:
        """A copy of what stands in the resource `home`, or in the document itself."""
        self._left -= 1
        if self._left < 0:
            message = f"With the schemas it refers to it would hold over {MAX_NODES} values."
            raise FormatError("CONVERSION_IMPOSSIBLE", message)
        if isinstance(value, list):
            return [self.moved(entry, home) for entry in value]
        if not isinstance(value, dict):
            return value
        made = {
            key: self.moved(entry, home)
            for key, entry in value.items()
            if home is None or key not in _ANCHORS or not isinstance(entry, str)
        }
        if isinstance(value.get("$ref"), str):
            made["$ref"] = self._led(value["$ref"], home)
        return made

    def _led(self, reference: str, home: Name | None) -> str:
        fragment = reference.partition("#")[2]
        target = home if reference.startswith("#") else parse_reference(reference)
        if target is None or target not in self._places:
            return reference
        return f"#{self._places[target]}{self._anchors[target].get(unquote(fragment), fragment)}"


def _pointers_of_anchors(root: Any) -> dict[str, str]:
    """Every `$anchor`, or `$id` of a plain fragment, with the pointer to its schema."""
    found: dict[str, str] = {}
    for pointer, schema in every_subschema(root):
        if isinstance(schema, dict):
            for keyword in (*_ANCHORS, "$id"):
                anchor = schema.get(keyword)
                if isinstance(anchor, str) and (keyword != "$id" or anchor.startswith("#")):
                    found.setdefault(anchor.removeprefix("#"), pointer)
    return found
