"""From `fields` to Python `TypedDict`s for the JSON that the schema admits."""

from __future__ import annotations

import keyword
from typing import Any, Final

from schemas.conversion.losses import Losses
from schemas.conversion.naming import type_name
from schemas.formats.problems import step

_TYPES: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "decimal": "float",
    "boolean": "bool",
    "date": "str",
    "datetime": "str",
    "uuid": "str",
    "bytes": "str",
}
_STRUCTURE: Final = frozenset(
    {"name", "type", "required", "nullable", "description", "items", "fields", "values"}
)
_HEADER: Final = "from typing import Literal, NotRequired, TypedDict\n"


def fields_to_python(name: str, fields: list[dict[str, Any]], losses: Losses) -> str:
    """The text of a module with one TypedDict for each record, the innermost first."""
    writer = _Writer(losses)
    writer.record(type_name(name), fields, "")
    return "\n\n".join([_HEADER, *writer.classes])


class _Writer:
    def __init__(self, losses: Losses) -> None:
        self.losses = losses
        self.classes: list[str] = []
        self.taken: set[str] = set()

    def record(self, name: str, fields: list[dict[str, Any]], pointer: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        members = [
            (field, self.member(name, field, step(pointer, index))) for index, field in enumerate(fields)
        ]
        plain = all(_is_attribute(field["name"]) for field in fields)
        if not plain:
            entries = ", ".join(f"{field['name']!a}: {written}" for field, written in members)
            self.classes.append(f'{name} = TypedDict("{name}", {{{entries}}})\n')
            return name
        lines = [f"class {name}(TypedDict):"]
        for field, written in members:
            if field.get("description"):
                lines.append(f"    # {' '.join(field['description'].split())}")
            lines.append(f"    {field['name']}: {written}")
        self.classes.append("\n".join(lines if members else [*lines, "    pass"]) + "\n")
        return name

    def member(self, record: str, field: dict[str, Any], pointer: str) -> str:
        written = self.type(field, f"{record}{type_name(field['name'])}", pointer)
        return written if field.get("required") else f"NotRequired[{written}]"

    def type(self, definition: dict[str, Any], name: str, pointer: str) -> str:
        for key in definition:
            if key not in _STRUCTURE and definition[key] is not False:
                self.losses.add(step(pointer, key), f"A Python type cannot say `{key}`.")
        kind = definition["type"]
        if kind == "enum":
            written = f"Literal[{', '.join(ascii(value) for value in definition['values'])}]"
        elif kind == "object":
            written = self.record(name, definition["fields"], step(pointer, "fields"))
        elif kind == "array":
            written = f"list[{self.type(definition['items'], f'{name}Item', step(pointer, 'items'))}]"
        else:
            written = _TYPES[kind]
        return f"{written} | None" if definition.get("nullable") else written


def _is_attribute(name: str) -> bool:
    """Whether a class body takes the name as it is: neither a keyword, nor mangled, nor normalised."""
    return (
        name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
    )
