"""Compatibility of `fields` documents: reasoned as JSON Schema, told in terms of fields."""

from typing import Any, Final

from schemas.formats.problems import step

KEYWORDS: Final = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
    "minItems": "min_items",
    "maxItems": "max_items",
    "uniqueItems": "unique_items",
    "enum": "values",
    "additionalProperties": "additional",
}
CODES: Final = {
    "PROPERTY_REQUIRED": "FIELD_REQUIRED",
    "PROPERTY_REMOVED": "FIELD_REMOVED",
    "PROPERTY_ADDED_TO_OPEN_MODEL": "FIELD_ADDED_TO_OPEN_MODEL",
    "ADDITIONAL_PROPERTIES_REFUSED": "ADDITIONAL_FIELDS_REFUSED",
}


def field_pointer(content: list[dict[str, Any]], pointer: str | None) -> str | None:
    """`pointer` into the JSON Schema of `content` as a pointer into `content` itself."""
    if pointer is None:
        return None
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    here = ""
    fields: list[dict[str, Any]] | None = content
    definition: dict[str, Any] = {}
    while tokens:
        key = tokens.pop(0)
        if key == "properties" and tokens and fields is not None:
            name = tokens.pop(0)
            index = next((i for i, entry in enumerate(fields) if entry["name"] == name), None)
            if index is None:
                return here
            here = step(here, index) if fields is content else step(here, "fields", index)
            definition = fields[index]
        elif key == "items" and "items" in definition:
            here, definition = step(here, "items"), definition["items"]
        elif key == "allOf":
            return step(
                here, "scale" if tokens[-1:] == ["multipleOf"] and "scale" in definition else "precision"
            )
        else:
            return _keyword_pointer(here, definition, key)
        fields = definition.get("fields")
    return here


def _keyword_pointer(here: str, definition: dict[str, Any], keyword: str) -> str:
    key = KEYWORDS.get(keyword, keyword)
    if key in definition:
        return step(here, key)
    return step(here, "precision") if "precision" in definition and keyword != "type" else here


def field_message(message: str) -> str:
    """A message about properties as one about fields."""
    for old, new in (
        ("the property ", "the field "),
        ("the optional property ", "the optional field "),
        ("admits properties", "admits fields"),
        ("at least 0 properties", "at least 0 fields"),
    ):
        message = message.replace(old, new)
    for keyword, key in KEYWORDS.items():
        message = message.replace(f"`{keyword}`", f"`{key}`")
    return message
