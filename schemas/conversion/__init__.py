"""A schema document written in another format, with a list of what does not survive.

Pure: no Django, no clock, no I/O. Everything passes through the `fields` format, which is what all
of them have in common: a record of named, typed fields.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.conversion.avro import avro_to_fields, fields_to_avro
from schemas.conversion.json_schema import json_schema_to_fields
from schemas.conversion.losses import Conversion, ConversionError, Losses
from schemas.conversion.python import fields_to_python
from schemas.conversion.typescript import fields_to_typescript
from schemas.formats import check_document
from schemas.formats.field_schema import fields_to_json_schema

TARGETS: Final = ("fields", "jsonschema", "avro", "typescript", "python")

__all__ = ["TARGETS", "Conversion", "ConversionError", "convert"]


def convert(name: str, format: str, content: Any, target: str) -> Conversion:  # noqa: A002
    """The sound document `content` of `format` in the format `target`, one of `TARGETS`.

    `name` is the schema's; types are named after it. Raises `ConversionError` where the document
    does not describe a record, or is too large for it.
    """
    if target not in TARGETS:
        raise ConversionError(f"There is no format {target[:40]!r}; convert to one of {', '.join(TARGETS)}.")
    if target == format:
        return Conversion(target, content, [])
    losses = Losses()
    fields = _as_fields(format, content, losses)
    written: Any = fields
    if target == "jsonschema":
        written = fields_to_json_schema(fields)
    elif target == "avro":
        written = fields_to_avro(name, fields, losses)
    elif target == "typescript":
        written = fields_to_typescript(name, fields, losses)
    elif target == "python":
        written = fields_to_python(name, fields, losses)
    return Conversion(target, written, losses.as_list())


def _as_fields(format: str, content: Any, losses: Losses) -> list[dict[str, Any]]:  # noqa: A002
    if format == "fields":
        return list(content)
    fields = (json_schema_to_fields if format == "jsonschema" else avro_to_fields)(content, losses)
    if problems := check_document("fields", fields):
        raise ConversionError(f"The document has no counterpart as a list of fields: {problems[0].message}")
    return fields
