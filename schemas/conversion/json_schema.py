"""From JSON Schema to `fields`."""

from __future__ import annotations

from typing import Any, Final

from schemas.conversion.losses import ConversionError, Losses
from schemas.formats import check_document
from schemas.formats.json_schema_walk import anchors_of, resolve_local
from schemas.formats.problems import step

_STRING_FORMATS: Final = {"date": "date", "date-time": "datetime", "uuid": "uuid"}
_KEPT_FORMATS: Final = ("email", "hostname", "ipv4", "ipv6", "uri", "time", "duration")
_RENAMED: Final = {
    "string": {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"},
    "number": {
        "minimum": "minimum",
        "maximum": "maximum",
        "exclusiveMinimum": "exclusive_minimum",
        "exclusiveMaximum": "exclusive_maximum",
        "multipleOf": "multiple_of",
    },
    "array": {"minItems": "min_items", "maxItems": "max_items", "uniqueItems": "unique_items"},
}
_SAYS_NOTHING: Final = frozenset(
    {
        "$schema",
        "$id",
        "$comment",
        "$defs",
        "definitions",
        "$anchor",
        "title",
        "examples",
        "readOnly",
        "writeOnly",
        "deprecated",
    }
)
_UNDERSTOOD: Final = frozenset(
    {
        "type",
        "$ref",
        "enum",
        "const",
        "format",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "description",
    }
    | {"default", "contentEncoding"}
)


def json_schema_to_fields(content: Any, losses: Losses) -> list[dict[str, Any]]:
    """The properties of a sound JSON Schema as fields. Raises `ConversionError` if it is no object's."""
    reader = _Reader(content, losses)
    root, pointer = reader.resolved(content, "")
    if (
        not isinstance(root, dict)
        or not isinstance(root.get("properties"), dict)
        or "object" not in _types(root)
    ):
        raise ConversionError('Only a schema of objects ("type": "object" with "properties") has fields.')
    if root.get("additionalProperties") is not False:
        losses.add(pointer, "Further properties are admitted here; a list of fields admits none.")
    reader.leftovers(root, pointer, frozenset())
    return reader.fields(root, pointer, 1)


class _Reader:
    def __init__(self, root: Any, losses: Losses) -> None:
        self.root = root
        self.losses = losses
        self.anchors = anchors_of(root)

    def fields(self, schema: dict[str, Any], pointer: str, depth: int) -> list[dict[str, Any]]:
        required = schema.get("required", [])
        found = []
        for name, entry in schema.get("properties", {}).items():
            definition = self.definition(entry, step(pointer, "properties", name), depth)
            if definition is not None:
                found.append({"name": name, "required": name in required, **definition})
        known = {field["name"] for field in found}
        for name in required:
            if name not in known:
                self.losses.add(pointer, f"{name} is required and its value is not described.")
        return found

    def definition(self, schema: Any, pointer: str, depth: int) -> dict[str, Any] | None:
        """A definition without its name; None, and a loss, where the format has no words for it."""
        self.losses.count(depth)
        schema, pointer = self.resolved(schema, pointer)
        if not isinstance(schema, dict):
            self.losses.add(
                pointer, "It is left out: a field has a type, and here every value or none is admitted."
            )
            return None
        if "enum" in schema or "const" in schema:
            definition = self.listed(schema, pointer)
        else:
            definition = self.typed(schema, pointer, depth)
        if definition is None:
            return None
        if isinstance(schema.get("description"), str):
            definition["description"] = schema["description"][:2000]
        return self.with_default(definition, schema, pointer)

    def resolved(self, schema: Any, pointer: str) -> tuple[Any, str]:
        """Behind local references; one to another schema is a loss and leads nowhere."""
        for _ in range(20):
            reference = schema.get("$ref") if isinstance(schema, dict) else None
            if not isinstance(reference, str):
                return schema, pointer
            if not reference.startswith("#"):
                self.losses.add(step(pointer, "$ref"), f"The reference to {reference[:120]} is not followed.")
                return None, pointer
            siblings = set(schema) - {"$ref"} - _SAYS_NOTHING - {"description"}
            if siblings:
                self.losses.add(
                    pointer, f"What stands beside the reference is left out: {', '.join(sorted(siblings))}."
                )
            schema = resolve_local(self.root, reference, self.anchors)
        return None, pointer

    def listed(self, schema: dict[str, Any], pointer: str) -> dict[str, Any] | None:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        kept = [value for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
        if not kept or any(value is not None and value not in kept for value in values):
            self.losses.add(pointer, "It is left out: a list of values holds strings and integers only.")
            return None
        self.leftovers(schema, pointer, frozenset({"enum", "const"}))
        return {"type": "enum", "values": kept, **({"nullable": True} if None in values else {})}

    def typed(self, schema: dict[str, Any], pointer: str, depth: int) -> dict[str, Any] | None:
        types = _types(schema)
        plain = [name for name in types if name != "null"]
        if plain == ["integer", "number"] or plain == ["number", "integer"]:
            plain = ["number"]
        if len(plain) != 1:
            self.losses.add(pointer, "It is left out: a field has exactly one type (and may be nullable).")
            return None
        definition = self.of_type(plain[0], schema, pointer, depth)
        if definition is not None and "null" in types:
            definition["nullable"] = True
        return definition

    def of_type(self, name: str, schema: dict[str, Any], pointer: str, depth: int) -> dict[str, Any] | None:
        renamed = _RENAMED.get("number" if name == "integer" else name, {})
        kept = {new: schema[old] for old, new in renamed.items() if old in schema}
        self.leftovers(schema, pointer, frozenset(renamed))
        if name == "object":
            return {
                "type": "object",
                "fields": self.fields(schema, pointer, depth + 1),
                "additional": schema.get("additionalProperties") is not False,
            }
        if name == "array":
            items = self.definition(schema.get("items"), step(pointer, "items"), depth + 1)
            return None if items is None else {"type": "array", "items": items, **kept}
        return self.string(schema, pointer, kept) if name == "string" else {"type": name, **kept}

    def string(self, schema: dict[str, Any], pointer: str, kept: dict[str, Any]) -> dict[str, Any]:
        named = schema.get("format")
        if named in _STRING_FORMATS:
            for constraint in kept:
                self.losses.add(pointer, f"A {_STRING_FORMATS[named]} takes no {constraint}.")
            return {"type": _STRING_FORMATS[named]}
        if schema.get("contentEncoding") == "base64":
            return {"type": "bytes"}
        if named in _KEPT_FORMATS:
            kept["format"] = named
        elif named is not None:
            self.losses.add(step(pointer, "format"), f"The format {str(named)[:60]} is not known to fields.")
        return {"type": "string", **kept}

    def with_default(
        self, definition: dict[str, Any], schema: dict[str, Any], pointer: str
    ) -> dict[str, Any]:
        if "default" not in schema:
            return definition
        offered = {**definition, "default": schema["default"]}
        if check_document("fields", [{"name": "x", **offered}]):
            self.losses.add(step(pointer, "default"), "The default is left out: the field does not admit it.")
            return definition
        return offered

    def leftovers(self, schema: dict[str, Any], pointer: str, understood: frozenset[str]) -> None:
        for keyword in schema:
            if keyword not in _UNDERSTOOD and keyword not in _SAYS_NOTHING and keyword not in understood:
                self.losses.add(step(pointer, keyword), f"`{keyword}` is not carried over.")


def _types(schema: dict[str, Any]) -> list[str]:
    declared = schema.get("type")
    if isinstance(declared, list):
        return [str(name) for name in declared]
    if declared is None and "properties" in schema:
        return ["object"]
    return [str(declared)] if declared is not None else []
