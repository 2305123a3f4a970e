"""The `fields` format as JSON Schema 2020-12: what its documents mean, in one place.

Validation of data, defaults, conversion and compatibility all start from this translation; nothing
that can refuse a document is lost in it.
"""

from typing import Any, Final

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
BASE64_PATTERN: Final = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

_PLAIN: Final[dict[str, dict[str, Any]]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "decimal": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
    "bytes": {"type": "string", "pattern": BASE64_PATTERN, "contentEncoding": "base64"},
    "enum": {},
    "array": {"type": "array"},
    "object": {"type": "object"},
}
_RENAMED: Final = {
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "format": "format",
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusive_minimum": "exclusiveMinimum",
    "exclusive_maximum": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique_items": "uniqueItems",
    "values": "enum",
    "default": "default",
    "description": "description",
}


def fields_to_json_schema(content: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON Schema of a sound `fields` document."""
    return {"$schema": DIALECT, **object_schema(content, additional=False)}


def object_schema(fields: list[dict[str, Any]], *, additional: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field["name"]: definition_schema(field) for field in fields},
    }
    required = [field["name"] for field in fields if field.get("required")]
    if required:
        schema["required"] = required
    if not additional:
        schema["additionalProperties"] = False
    return schema


def definition_schema(definition: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of one definition, a field's or that of the items of an array."""
    field_type = definition["type"]
    schema = dict(_PLAIN[field_type])
    schema |= {new: definition[old] for old, new in _RENAMED.items() if old in definition}
    if field_type == "object":
        schema |= object_schema(definition["fields"], additional=definition.get("additional", False))
    elif field_type == "array":
        schema["items"] = definition_schema(definition["items"])
    elif field_type == "decimal" and "precision" in definition:
        schema = _with_digits(schema, definition["precision"], definition.get("scale", 0))
    if definition.get("nullable"):
        schema = _nullable(schema)
    return schema


def _with_digits(schema: dict[str, Any], precision: int, scale: int) -> dict[str, Any]:
    """`schema` held to `precision` digits of which `scale` stand after the point."""
    bound = 10 ** (precision - scale)
    digits: dict[str, Any] = {
        "exclusiveMinimum": -bound,
        "exclusiveMaximum": bound,
        "multipleOf": 1 if scale == 0 else float(f"1e-{scale}"),
    }
    if not digits.keys() & schema.keys():
        return schema | digits
    return schema | {"allOf": [digits]}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    return schema | {"type": [schema["type"], "null"]}
