"""A schema in another format, and what is lost on the way.

`convert("fields", content, "avro")` and so on. JSON Schema is the hub: `fields` become JSON Schema
without loss, everything else goes through it. What the target cannot say is left out and listed, so
that a conversion never pretends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.formats.bundle import bundled
from schemas.formats.convert_avro import avro_to_json_schema, json_schema_to_avro
from schemas.formats.convert_code import json_schema_to_python, json_schema_to_typescript
from schemas.formats.convert_fields import json_schema_to_fields
from schemas.formats.convert_loss import Loss
from schemas.formats.field_schema import fields_to_json_schema
from schemas.formats.json_schema_size import Resources
from schemas.formats.problems import FormatError

TARGETS: Final = ("jsonschema", "avro", "fields", "typescript", "python")


@dataclass(frozen=True, slots=True)
class Conversion:
    """The converted schema: JSON for `jsonschema`, `avro` and `fields`, source text otherwise."""

    content: Any
    lost: list[Loss] = field(default_factory=list)


def convert(
    format: str,  # noqa: A002
    content: Any,
    target: str,
    *,
    resources: Resources | None = None,
) -> Conversion:
    """The sound document `content` of `format` as `target`, one of `TARGETS`.

    `resources` holds every registered schema that it refers to; they are written out in it, and pointers
    of losses lead into the whole, where they stand in `$defs`.

    Raises `FormatError`: `CONVERSION_UNKNOWN` for a target that does not exist,
    `CONVERSION_IMPOSSIBLE` where the target cannot say it at all (such as a list as `fields`).
    """
    if target not in TARGETS:
        raise FormatError("CONVERSION_UNKNOWN", f"Schemas are converted to one of {', '.join(TARGETS)}.")
    if target == format:
        return Conversion(content)
    lost: list[Loss] = []
    schema = bundled(_as_json_schema(format, content, lost), resources or {})
    if target == "jsonschema":
        return Conversion(schema, lost)
    try:
        return Conversion(_CONVERTERS[target](schema, lost), lost)
    except RecursionError as error:
        raise FormatError("CONVERSION_IMPOSSIBLE", "The schema nests too deep to be converted.") from error


def _as_json_schema(format: str, content: Any, lost: list[Loss]) -> Any:  # noqa: A002
    if format == "fields":
        return fields_to_json_schema(content)
    return avro_to_json_schema(content, lost) if format == "avro" else content


_CONVERTERS: Final[dict[str, Callable[[Any, list[Loss]], Any]]] = {
    "avro": json_schema_to_avro,
    "fields": json_schema_to_fields,
    "typescript": json_schema_to_typescript,
    "python": json_schema_to_python,
}
