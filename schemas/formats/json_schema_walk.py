"""Where the subschemas of a JSON Schema are, which dialect it is written in, what a `$ref` names."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from schemas.formats.problems import step

DRAFT_2020_12: Final = "https://json-schema.org/draft/2020-12/schema"
DRAFT_7: Final = "http://json-schema.org/draft-07/schema"

IN_PLACE_SCHEMA: Final = frozenset({"not", "if", "then", "else"})
IN_PLACE_LIST: Final = frozenset({"allOf", "anyOf", "oneOf"})
IN_PLACE_MAP: Final = frozenset({"dependentSchemas", "dependencies"})
CHILD_SCHEMA: Final = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "items",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
CHILD_LIST: Final = frozenset({"prefixItems", "items"})
CHILD_MAP: Final = frozenset({"properties", "patternProperties"})
DEFINITION_MAP: Final = frozenset({"$defs", "definitions"})

REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")

SCHEMA_KEYWORDS: Final = IN_PLACE_SCHEMA | CHILD_SCHEMA
LIST_KEYWORDS: Final = IN_PLACE_LIST | CHILD_LIST
MAP_KEYWORDS: Final = IN_PLACE_MAP | CHILD_MAP | DEFINITION_MAP
LEADING_ON: Final = SCHEMA_KEYWORDS | LIST_KEYWORDS | MAP_KEYWORDS | frozenset(REFERENCES)
"""What a subschema without any other below it has none of."""

_SINCE_2019: Final = frozenset(
    {
        "prefixItems",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedItems",
        "unevaluatedProperties",
        "minContains",
        "maxContains",
        "$anchor",
        "$dynamicRef",
    }
)


def children(schema: Any, pointer: str = "") -> Iterator[tuple[str, str, Any]]:
    """(keyword, pointer, subschema) for every direct subschema; a map or list gives one for each entry."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        if keyword in LIST_KEYWORDS and isinstance(value, list):
            for index, entry in enumerate(value):
                yield keyword, step(pointer, keyword, index), entry
        elif keyword in MAP_KEYWORDS and isinstance(value, dict):
            for name, entry in value.items():
                if keyword != "dependencies" or not isinstance(entry, list):
                    yield keyword, step(pointer, keyword, name), entry
        elif keyword in SCHEMA_KEYWORDS and not isinstance(value, list):
            yield keyword, step(pointer, keyword), value


def every_subschema(root: Any) -> Iterator[tuple[str, Any]]:
    """(pointer, subschema) for `root` and everything below it that is a schema, without recursion."""
    stack: list[tuple[str, Any]] = [("", root)]
    while stack:
        pointer, schema = stack.pop()
        yield pointer, schema
        stack.extend((below, entry) for _, below, entry in reversed(list(children(schema, pointer))))


def dialect_of(root: Any) -> str:
    """The dialect of a JSON Schema: what its `$schema` says, without the empty fragment.

    Without `$schema` it is 2020-12, or draft 7 when it uses what only earlier drafts have: `items`
    as a list, `additionalItems`, `dependencies`.
    """
    declared = root.get("$schema") if isinstance(root, dict) else None
    if isinstance(declared, str):
        return declared.removesuffix("#")
    seen_old = seen_new = False
    for _, schema in every_subschema(root):
        if isinstance(schema, dict):
            seen_new = seen_new or not _SINCE_2019.isdisjoint(schema)
            seen_old = seen_old or "dependencies" in schema or "additionalItems" in schema
            seen_old = seen_old or isinstance(schema.get("items"), list)
    return DRAFT_7 if seen_old and not seen_new else DRAFT_2020_12


def anchors_of(root: Any) -> dict[str, Any]:
    """Every `$anchor` (2019-09 and later) or `$id` of a plain fragment (draft 7), with its schema."""
    found: dict[str, Any] = {}
    for _, schema in every_subschema(root):
        if isinstance(schema, dict):
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(schema.get(keyword), str):
                    found.setdefault(schema[keyword], schema)
            identifier = schema.get("$id")
            if isinstance(identifier, str) and identifier.startswith("#"):
                found.setdefault(identifier[1:], schema)
    return found


def resolve_local(root: Any, reference: str, anchors: dict[str, Any]) -> Any:
    """What the local `reference` ("#", "#/$defs/x", "#anchor") names in `root`.

    Raises `LookupError` if it names nothing.
    """
    if not reference.startswith("#"):
        raise LookupError(reference)
    fragment = unquote(reference[1:])
    if fragment and not fragment.startswith("/"):
        return anchors[fragment]
    target = root
    for token in fragment.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict):
            target = target[token]
        elif isinstance(target, list) and token.isascii() and token.isdigit():
            target = target[int(token)]
        else:
            raise LookupError(reference)
    return target
