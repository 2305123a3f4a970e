"""Generated schemas and documents."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "c")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([0.5, 1.5, -0.5, 2.0]),
    st.text("ab1-", max_size=4),
    st.sampled_from(["2026-01-31", "x" * 12]),
)
documents: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "name",
                    "fields",
                    "items",
                    "values",
                    "symbols",
                    "properties",
                    "$ref",
                    "enum",
                    "allOf",
                    "size",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)

_counts = st.integers(0, 3)
_leaf_keywords = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["string", "integer", "number", "object", "array", "boolean", ["string", "null"]]
        ),
        "minimum": st.integers(-2, 4),
        "maximum": st.integers(-2, 4),
        "exclusiveMinimum": st.integers(-2, 4),
        "multipleOf": st.sampled_from([1, 2, 3, 0.5]),
        "minLength": _counts,
        "maxLength": _counts,
        "pattern": st.sampled_from(["^a", "b$", "a*", "^[ab]+$"]),
        "enum": st.lists(scalars, min_size=1, max_size=3, unique_by=repr),
        "const": scalars,
    },
)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["object", "string"], "integer"]),
            "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
            "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            "additionalProperties": st.just(False) | inner,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "."]), inner, max_size=2),
            "maxProperties": _counts,
            "minProperties": _counts,
            "dependentRequired": st.dictionaries(
                st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=1), max_size=1
            ),
            "items": inner,
            "prefixItems": several,
            "minItems": _counts,
            "maxItems": _counts,
            "uniqueItems": st.booleans(),
            "contains": inner,
            "anyOf": several,
            "oneOf": several,
            "allOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    )


_references = st.sampled_from(["#/$defs/A", "#/$defs/A", "#/$defs/B"]).map(lambda name: {"$ref": name})
_parts: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | _leaf_keywords | _references, _grown, max_leaves=6
)


@st.composite
def json_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Schemas with two definitions that they and these may refer to, recursion included."""
    schema = draw(_parts)
    schema = schema if isinstance(schema, dict) else {"allOf": [schema]}
    return schema | {"$defs": {name: draw(_parts) for name in "AB"}}


@st.composite
def schema_pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two schemas; often the second is the first with some keyword of it or of its definitions left out."""
    old = draw(json_schemas())
    if draw(st.integers(0, 3)) == 0:
        return old, draw(json_schemas())
    changed = deepcopy(old)
    place = draw(st.sampled_from([changed, *changed["$defs"].values()]))
    if isinstance(place, dict) and (keywords := sorted(place.keys() - {"$defs"})):
        del place[draw(st.sampled_from(keywords))]
    return (old, changed) if draw(st.booleans()) else (changed, old)


_definitions: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.builds(lambda n: {"type": "string", "max_length": n}, st.integers(0, 4)),
        st.builds(lambda n: {"type": "integer", "minimum": n}, st.integers(-2, 3)),
        st.sampled_from(["number", "boolean", "date", "uuid"]).map(lambda name: {"type": name}),
        st.builds(
            lambda v: {"type": "enum", "values": v}, st.lists(st.sampled_from("abc"), min_size=1, unique=True)
        ),
    ),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(
            lambda name, entry, more: {
                "type": "object",
                "fields": [{"name": name} | entry],
                "additional": more,
            },
            st.sampled_from(NAMES),
            inner,
            st.booleans(),
        )
    ),
    max_leaves=3,
)


@st.composite
def field_documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    return [
        {"name": name, "required": draw(st.booleans()), "nullable": draw(st.booleans())} | draw(_definitions)
        for name in names
    ]


AVRO_SCALARS = ("null", "boolean", "int", "long", "float", "double", "string", "bytes")
_avro_scalars = st.sampled_from(AVRO_SCALARS)
_avro_unions = st.lists(_avro_scalars, min_size=1, max_size=3, unique=True)


def _inner_records(name: str) -> st.SearchStrategy[dict[str, Any]]:
    defaults: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.just({"default": 0})
    fields = st.dictionaries(st.sampled_from(NAMES), defaults, max_size=2).map(
        lambda chosen: [{"name": key, "type": "int"} | more for key, more in chosen.items()]
    )
    return fields.map(lambda made: {"type": "record", "name": name, "fields": made})


@st.composite
def avro_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Records with fields of simple, union, array, map, enum and record types; a default where one is easy.

    Aliases may collide with names, and unions hold records that differ by their namespace only.
    """
    fields = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3)):
        kind = draw(st.sampled_from(["scalar", "union", "array", "map", "enum", "records"]))
        field: dict[str, Any] = {"name": name}
        if draw(st.integers(0, 3)) == 0:
            field["aliases"] = [draw(st.sampled_from((*NAMES, "d")))]
        if kind == "records":
            spaces = draw(st.lists(st.sampled_from("xyz"), min_size=1, max_size=2, unique=True))
            field["type"] = [draw(_inner_records(f"{space}.S{name}")) for space in spaces]
        elif kind == "enum":
            symbols = draw(st.lists(st.sampled_from("XYZ"), min_size=1, unique=True))
            field["type"] = {"type": "enum", "name": f"E{name}", "symbols": symbols}
        elif kind in ("array", "map"):
            inner = draw(_avro_scalars | _avro_unions)
            field["type"] = {"type": kind, "items" if kind == "array" else "values": inner}
            if draw(st.booleans()):
                field["default"] = [] if kind == "array" else {}
        else:
            field["type"] = draw(_avro_scalars if kind == "scalar" else _avro_unions)
        fields.append(field)
    return {"type": "record", "name": "R", "fields": fields}


def _tagging(branch: Any) -> Callable[[Any], Any]:
    name = branch["name"] if isinstance(branch, dict) else branch
    return lambda value: None if name == "null" else (name, value)


def avro_data(schema: Any) -> st.SearchStrategy[Any]:
    """Data as `fastavro` writes it."""
    if isinstance(schema, list):
        return st.one_of([avro_data(branch).map(_tagging(branch)) for branch in schema])
    if isinstance(schema, str):
        return {
            "null": st.none(),
            "boolean": st.booleans(),
            "int": st.integers(-(2**31), 2**31 - 1),
            "long": st.integers(-(2**63), 2**63 - 1),
            "float": st.floats(width=32),
            "double": st.floats(),
            "string": st.text(max_size=3),
            "bytes": st.text("ab", max_size=3).map(str.encode),
        }[schema]
    if schema["type"] == "enum":
        return st.sampled_from(schema["symbols"])
    if schema["type"] == "array":
        return st.lists(avro_data(schema["items"]), max_size=2)
    if schema["type"] == "map":
        return st.dictionaries(st.sampled_from(NAMES), avro_data(schema["values"]), max_size=2)
    return st.fixed_dictionaries({field["name"]: avro_data(field["type"]) for field in schema["fields"]})
