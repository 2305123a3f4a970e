"""From `fields` to a TypeScript interface for the JSON that the schema admits."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from schemas.conversion.losses import Losses
from schemas.conversion.naming import type_name
from schemas.formats.problems import step

_TYPES: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "decimal": "number",
    "boolean": "boolean",
    "date": "string",
    "datetime": "string",
    "uuid": "string",
    "bytes": "string",
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_STRUCTURE: Final = frozenset(
    {"name", "type", "required", "nullable", "description", "items", "fields", "values", "additional"}
)


def fields_to_typescript(name: str, fields: list[dict[str, Any]], losses: Losses) -> str:
    """The text of a module that exports one interface."""
    return f"export interface {type_name(name)} {_members(fields, losses, '', 1)}\n"


def _members(
    fields: list[dict[str, Any]], losses: Losses, pointer: str, level: int, *, open_: bool = False
) -> str:
    indent = "  " * level
    lines = ["{"]
    for index, field in enumerate(fields):
        if field.get("description"):
            lines.append(f"{indent}/** {_comment(field['description'])} */")
        mark = "" if field.get("required") else "?"
        lines.append(
            f"{indent}{_key(field['name'])}{mark}: {_type(field, losses, step(pointer, index), level)};"
        )
    if open_:
        lines.append(f"{indent}[name: string]: unknown;")
    return "\n".join([*lines, f"{'  ' * (level - 1)}}}"])


def _type(definition: dict[str, Any], losses: Losses, pointer: str, level: int) -> str:
    for key in definition:
        if key not in _STRUCTURE:
            losses.add(step(pointer, key), f"A TypeScript type cannot say `{key}`.")
    kind = definition["type"]
    if kind == "enum":
        written = " | ".join(json.dumps(value) for value in definition["values"])
    elif kind == "object":
        below = step(pointer, "fields")
        written = _members(
            definition["fields"], losses, below, level + 1, open_=bool(definition.get("additional"))
        )
    elif kind == "array":
        written = f"Array<{_type(definition['items'], losses, step(pointer, 'items'), level)}>"
    else:
        written = _TYPES[kind]
    return f"{written} | null" if definition.get("nullable") else written


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)


def _comment(text: str) -> str:
    return " ".join(text.split()).replace("*/", "* /")
