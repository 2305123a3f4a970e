"""How much work one value can be: the subschemas that apply to it, references followed.

References may double at every step, within a document or from one registered schema to the next;
a validator would follow each of the ways. So they are counted before anything is compiled.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from schemas.formats.data_work import Parts, Steps
from schemas.formats.json_schema_walk import (
    DEFINITION_MAP,
    IN_PLACE_LIST,
    IN_PLACE_MAP,
    IN_PLACE_SCHEMA,
    LEADING_ON,
    REFERENCES,
    anchors_of,
    children,
    every_subschema,
    resolve_local,
)
from schemas.formats.patterns import pattern_states
from schemas.formats.references import parse_reference

IN_PLACE: Final = IN_PLACE_SCHEMA | IN_PLACE_LIST | IN_PLACE_MAP

STEPS_PER_STATE: Final = 0.5
STEPS_PER_NESTED: Final = 15

Groups = list[list[tuple[Any, Any]]]
Resources = Mapping[tuple[str, str], Any]
"""The content (JSON Schema) of every registered schema that is referred to, by name and version."""


def in_place_size(content: Any, *, resources: Resources | None = None, loops: bool = False) -> int:
    """How many subschemas are applied to a single value at most, references followed.

    Raises `RecursionError` when a schema leads back to itself on the same value, unless `loops`.
    """
    sizing = Sizing(resources or {}, loops=loops)
    for root in (content, *(resources or {}).values()):
        for _, start in every_subschema(root):
            sizing.enter(root, start)
    return max(sizing.sizes.values(), default=1)


def json_schema_steps(
    content: Any, resources: Resources | None = None, *, explained: bool, of_all: bool = False
) -> Steps[tuple[Any, Any]]:
    """The steps for one value against `content`, or the problems that it may have if it is `explained`.

    Those against every subschema, known by its `id`, if they are `of_all`.
    """
    sizing = Sizing(resources or {}, loops=True)

    def parts(node: tuple[Any, Any]) -> Parts[tuple[Any, Any]]:
        own = (own_problems if explained else own_steps)(node[1])
        return Parts(own, *sizing.parts(node, exclusive=not explained))

    return Steps((content, content), lambda node: id(node[1]), parts, of_all=of_all)


def own_steps(schema: Any) -> float:
    """What a subschema compares a value with itself, in steps of 10 ns for each value or character."""
    if not isinstance(schema, dict):
        return 1
    steps = 1.0 + len(schema.get("dependentRequired", ())) + len(schema.get("dependencies", ()))
    if "pattern" in schema:
        steps += STEPS_PER_STATE * pattern_states(schema["pattern"])
    for pattern in schema.get("patternProperties", ()):
        steps += 1 + STEPS_PER_STATE * pattern_states(pattern)
    listed = schema.get("enum", ())
    if any(isinstance(value, list | dict) for value in listed):
        return steps + STEPS_PER_NESTED * len(listed)
    return steps if len({type(value) for value in listed}) <= 1 else steps + len(listed)


def own_problems(schema: Any) -> float:
    """How many problems a subschema itself may have with one value."""
    if not isinstance(schema, dict):
        return 1
    listed = [schema.get("required", ())]
    for keyword in ("dependentRequired", "dependencies"):
        listed += [names for names in schema.get(keyword, {}).values() if isinstance(names, list)]
    return 1 + sum(map(len, listed))


def has_alternatives(content: Any, resources: Resources | None = None) -> bool:
    """Whether a single problem may hold those of several alternatives."""
    return any(
        isinstance(schema, dict) and ("anyOf" in schema or "oneOf" in schema)
        for root in (content, *(resources or {}).values())
        for _, schema in every_subschema(root)
    )


class Sizing:
    """Takes subschemas apart; each goes with the document that it stands in, for its references."""

    def __init__(self, resources: Resources, *, loops: bool) -> None:
        self.resources = resources
        self.loops = loops
        self.sizes: dict[int, int] = {}
        self._entered: set[int] = set()
        self._anchors: dict[int, dict[str, Any]] = {}

    def enter(self, root: Any, start: Any) -> None:
        """Counts `start` and whatever it leads to, innermost first, without recursion."""
        stack: list[tuple[Any, Any, list[tuple[Any, Any]] | None]] = [(root, start, None)]
        while stack:
            home, schema, below = stack.pop()
            if not isinstance(schema, dict) or id(schema) in self.sizes:
                continue
            if below is not None:
                self.sizes[id(schema)] = 1 + sum(self.sizes.get(id(entry), 1) for _, entry in below)
            elif id(schema) in self._entered:
                if not self.loops:
                    raise RecursionError
            else:
                self._entered.add(id(schema))
                below = self._in_place(home, schema)
                stack.append((home, schema, below))
                stack.extend((where, entry, None) for where, entry in below)

    def parts(self, node: tuple[Any, Any], *, exclusive: bool) -> tuple[Groups, Groups]:
        """What the subschema checks the same value against, and each part of the value.

        Of alternatives that a constant tells apart only one is gone into, if that is `exclusive`.
        """
        root, schema = node
        if not isinstance(schema, dict) or LEADING_ON.isdisjoint(schema):
            return [], []
        in_place = self._in_place(root, schema)
        groups = (
            [in_place] if exclusive and self._are_told_apart(schema, in_place) else [[e] for e in in_place]
        )
        named: list[tuple[Any, Any]] = []
        everywhere: list[tuple[Any, Any]] = []
        for keyword, _, entry in children(schema):
            if keyword in ("properties", "prefixItems"):
                named.append((root, entry))
            elif keyword not in IN_PLACE and keyword not in DEFINITION_MAP:
                everywhere.append((root, entry))
        return groups, [everywhere, *([entry, *everywhere] for entry in named)]

    def _are_told_apart(self, schema: dict[str, Any], branches: list[tuple[Any, Any]]) -> bool:
        """Whether the branches of the schema's one `anyOf` or `oneOf` demand different constants of a property."""
        if sum(keyword in schema for keyword in (*IN_PLACE, *REFERENCES)) != 1:
            return False
        if "anyOf" not in schema and "oneOf" not in schema:
            return False
        marks = [self._constants(*branch) for branch in branches]
        objects = [mark for mark in marks if mark is not None]
        shared = set.intersection(*(set(mark) for mark in objects)) if objects else set()
        return any(len({repr(mark[name]) for mark in objects}) == len(objects) for name in shared)

    def _constants(self, root: Any, schema: Any) -> dict[str, Any] | None:
        """The properties of which an object must have one value; None for what admits no object."""
        with suppress(LookupError):
            if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
                root, schema = self._target(root, schema["$ref"])
        if not isinstance(schema, dict):
            return {}
        if schema.get("type", "object") != "object" and "object" not in schema["type"]:
            return None
        properties = schema.get("properties", {})
        return {
            name: properties[name]["const"]
            for name in schema.get("required", ())
            if isinstance(properties.get(name), dict) and "const" in properties[name]
        }

    def _in_place(self, root: Any, schema: dict[str, Any]) -> list[tuple[Any, Any]]:
        below = [(root, entry) for keyword, _, entry in children(schema) if keyword in IN_PLACE]
        for keyword in REFERENCES:
            reference = schema.get(keyword)
            if isinstance(reference, str):
                with suppress(LookupError):
                    below.append(self._target(root, reference))
        return below

    def _target(self, root: Any, reference: str) -> tuple[Any, Any]:
        named = parse_reference(reference)
        if named is not None:
            root, reference = self.resources[named], f"#{reference.partition('#')[2]}"
        if id(root) not in self._anchors:
            self._anchors[id(root)] = anchors_of(root)
        return root, resolve_local(root, reference, self._anchors[id(root)])
