"""JSON Schema to `fields`."""

from typing import Any, Final

from schemas.formats.convert_loss import Loss, Source
from schemas.formats.field_constraints import STRING_FORMATS
from schemas.formats.field_schema import BASE64_PATTERN
from schemas.formats.problems import FormatError, step

FORMATS: Final = {"date": "date", "date-time": "datetime", "uuid": "uuid"}
NUMERIC: Final = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
}
STRING: Final = {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"}
ARRAY: Final = {"minItems": "min_items", "maxItems": "max_items", "uniqueItems": "unique_items"}
COMMON: Final = frozenset({"type", "description", "default", "$ref"})
MAX_INLINED: Final = 24


def json_schema_to_fields(root: Any, lost: list[Loss]) -> list[dict[str, Any]]:
    """The `fields` document of an object's JSON Schema. Raises `FormatError` if it is no object's."""
    source = Source(root, lost)
    schema = _resolved(source, root, "", 0)
    if not isinstance(schema, dict) or schema.get("type", "object") != "object" or "properties" not in schema:
        raise FormatError(
            "CONVERSION_IMPOSSIBLE", "Only a schema of an object with properties can be written as fields."
        )
    if schema.get("additionalProperties", True) is not False:
        source.lose("", "The document of fields is closed; this schema admits further properties.")
    return _object(source, schema, "", 0)


def _object(source: Source, schema: dict[str, Any], pointer: str, depth: int) -> list[dict[str, Any]]:
    kept = COMMON | {"properties", "required", "additionalProperties"}
    source.lose_keywords(schema, pointer, kept, "fields")
    required = schema.get("required", [])
    fields = []
    for name, entry in schema.get("properties", {}).items():
        definition = _definition(source, entry, step(pointer, "properties", name), depth + 1)
        if definition is None:
            continue
        marked = {"name": name} | definition
        fields.append(marked | {"required": True} if name in required else marked)
    source.lose_required(schema, pointer, "")
    return fields


def _definition(source: Source, schema: Any, pointer: str, depth: int) -> dict[str, Any] | None:
    schema, nullable = source.nullable(_resolved(source, schema, pointer, depth), pointer)
    source.spend(1 + (len(schema) if isinstance(schema, dict) else 0))
    if not isinstance(schema, dict) or depth > MAX_INLINED:
        source.lose(pointer, "This subschema has no counterpart among the types of fields.")
        return None
    definition = _typed(source, schema, pointer, depth)
    if definition is None:
        source.lose(pointer, "This subschema has no counterpart among the types of fields.")
        return None
    if nullable:
        definition["nullable"] = True
    for key in ("description", "default"):
        if key in schema:
            definition[key] = schema[key]
    return definition


def _typed(source: Source, schema: dict[str, Any], pointer: str, depth: int) -> dict[str, Any] | None:
    kind = schema.get("type")
    if "enum" in schema or "const" in schema:
        return _enum(source, schema, pointer)
    if kind == "string":
        return _string(source, schema, pointer)
    if kind in ("integer", "number"):
        return _renamed(source, schema, pointer, {"type": kind}, NUMERIC)
    if kind == "boolean":
        return _renamed(source, schema, pointer, {"type": "boolean"}, {})
    if kind == "array":
        items = schema.get("items")
        inner = (
            _definition(source, items, step(pointer, "items"), depth + 1) if isinstance(items, dict) else None
        )
        if inner is None:
            return None
        return _renamed(source, schema, pointer, {"type": "array", "items": inner}, ARRAY, "items")
    if kind == "object":
        additional = schema.get("additionalProperties", True)
        if isinstance(additional, dict):
            source.lose(step(pointer, "additionalProperties"), "Further fields of an object have no type.")
        made = {"type": "object", "fields": _object(source, schema, pointer, depth)}
        return made if additional is False else made | {"additional": True}
    return None


def _enum(source: Source, schema: dict[str, Any], pointer: str) -> dict[str, Any] | None:
    values = schema.get("enum", [schema.get("const")])
    if not values or not all(isinstance(v, str | int) and not isinstance(v, bool) for v in values):
        return None
    source.lose_keywords(schema, pointer, COMMON | {"enum", "const"}, "fields")
    return {"type": "enum", "values": list(dict.fromkeys(values))}


def _string(source: Source, schema: dict[str, Any], pointer: str) -> dict[str, Any]:
    written = schema.get("format")
    if written in FORMATS:
        return _renamed(source, schema, pointer, {"type": FORMATS[written]}, {}, "format")
    if schema.get("contentEncoding") == "base64" and schema.get("pattern", BASE64_PATTERN) == BASE64_PATTERN:
        return _renamed(source, schema, pointer, {"type": "bytes"}, {}, "contentEncoding", "pattern")
    made: dict[str, Any] = {"type": "string"}
    if written in STRING_FORMATS:
        return _renamed(source, schema, pointer, made | {"format": written}, STRING, "format")
    return _renamed(source, schema, pointer, made, STRING)


def _renamed(
    source: Source,
    schema: dict[str, Any],
    pointer: str,
    made: dict[str, Any],
    names: dict[str, str],
    *kept: str,
) -> dict[str, Any]:
    source.lose_keywords(schema, pointer, COMMON | names.keys() | set(kept), "fields")
    return made | {new: schema[old] for old, new in names.items() if old in schema}


def _resolved(source: Source, schema: Any, pointer: str, depth: int) -> Any:
    while isinstance(schema := source.meaning(schema), dict) and isinstance(schema.get("$ref"), str):
        target = source.target_of(schema)
        if depth > MAX_INLINED:
            raise FormatError(
                "CONVERSION_IMPOSSIBLE",
                "References lead back to themselves, or through too many levels, to be written out as fields.",
            )
        if not isinstance(target, dict):
            source.lose(step(pointer, "$ref"), "The reference cannot be followed here.")
            return None
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = source.joined(source.meaning(target), beside, pointer)
        depth += 1
    return schema
