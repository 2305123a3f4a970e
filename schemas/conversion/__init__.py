"""A version written in another format, with what does not survive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from schemas.errors import ConversionImpossible
from schemas.formats.field_schema import fields_to_json_schema
from schemas.models import SchemaVersion


@dataclass(frozen=True, slots=True)
class Loss:
    pointer: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"pointer": self.pointer, "message": self.message}


@dataclass(frozen=True, slots=True)
class Converted:
    format: str
    content: Any
    losses: list[Loss] = field(default_factory=list)


def convert(version: SchemaVersion, target: str) -> Converted:
    if target == version.format:
        return Converted(target, version.content)
    if version.format == "fields" and target == "jsonschema":
        return Converted(target, fields_to_json_schema(version.content))
    raise ConversionImpossible(f"{version} cannot be written as {target[:20]!r}.", possible=[version.format])
