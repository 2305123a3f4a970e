"""What the text in a cell of a CSV file means: as the schema says of its column."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from schemas.files.records import DECODER, Cells
from schemas.formats.field_schema import fields_to_json_schema

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_AVRO = {
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
    "record": "object",
    "map": "object",
    "array": "array",
}


def cells_of(format: str, content: Any) -> Cells:  # noqa: A002
    """A reader for every column that the schema types. What it cannot read stays text, and is refused."""
    if format == "avro":
        fields = content.get("fields", []) if isinstance(content, dict) else []
        return _readers({field["name"]: _avro_types(field["type"]) for field in fields})
    schema = fields_to_json_schema(content) if format == "fields" else content
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    readers = _readers(
        {name: _types(entry.get("type")) for name, entry in properties.items() if isinstance(entry, dict)}
    )
    listed = {
        name: _listed_cell(entry["enum"])
        for name, entry in properties.items()
        if isinstance(entry, dict) and "type" not in entry and isinstance(entry.get("enum"), list)
    }
    return {**readers, **listed}


def _readers(types: dict[str, set[str]]) -> dict[str, Callable[[str], Any]]:
    return {name: _reader(found) for name, found in types.items() if found - {"string", "null"}}


def _reader(types: set[str]) -> Callable[[str], Any]:
    if "string" in types:
        return str
    if "boolean" in types:
        return _boolean_cell
    return _number_cell if types <= {"integer", "number", "null"} else _json_cell


def _listed_cell(values: list[Any]) -> Callable[[str], Any]:
    by_text = {str(value): value for value in values if isinstance(value, str | int | float)}
    return lambda cell: by_text.get(cell, cell)


def _json_cell(cell: str) -> Any:
    """Numbers, arrays and objects are written in a cell as in JSON."""
    try:
        return DECODER.decode(cell)
    except (ValueError, RecursionError):
        return cell


def _number_cell(cell: str) -> Any:
    """As `_json_cell`, faster for what most cells hold."""
    if len(cell) < 19 and _NUMBER.fullmatch(cell):
        return float(cell) if "." in cell else int(cell)
    return _json_cell(cell)


def _boolean_cell(cell: str) -> Any:
    found = {"true": True, "false": False}.get(cell.lower())
    return _json_cell(cell) if found is None else found


def _types(declared: Any) -> set[str]:
    if isinstance(declared, str):
        return {declared}
    return {entry for entry in declared if isinstance(entry, str)} if isinstance(declared, list) else set()


def _avro_types(declared: Any) -> set[str]:
    branches = declared if isinstance(declared, list) else [declared]
    names = [branch.get("type") if isinstance(branch, dict) else branch for branch in branches]
    return {
        _AVRO.get(name, "null" if name == "null" else "string") for name in names if isinstance(name, str)
    }
