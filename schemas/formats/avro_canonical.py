"""Parsing Canonical Form (Avro 1.11, section "Transforming into Parsing Canonical Form")."""

import json
from typing import Any

from schemas.formats.avro_model import AvroType


def avro_canonical(schema: AvroType) -> bytes:
    """The Parsing Canonical Form of a parsed schema, in UTF-8.

    Full names, simple primitives, only the keys that matter for reading, in their order, no
    whitespace; a named type is written out where it first stands.
    """
    return json.dumps(_form(schema, set()), separators=(",", ":"), ensure_ascii=False).encode()


def _form(schema: AvroType, written: set[str]) -> Any:
    if schema.kind == "union":
        return [_form(branch, written) for branch in schema.branches]
    if schema.kind == "array":
        return {"type": "array", "items": _form(schema.element, written)}
    if schema.kind == "map":
        return {"type": "map", "values": _form(schema.element, written)}
    if not schema.name:
        return schema.kind
    if schema.name in written:
        return schema.name
    written.add(schema.name)
    return {"name": schema.name, "type": schema.kind, **_body(schema, written)}


def _body(schema: AvroType, written: set[str]) -> dict[str, Any]:
    if schema.kind == "enum":
        return {"symbols": list(schema.symbols)}
    if schema.kind == "fixed":
        return {"size": schema.size}
    return {"fields": [{"name": field.name, "type": _form(field.type, written)} for field in schema.fields]}
