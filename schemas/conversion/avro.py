"""Between Avro and `fields`."""

from __future__ import annotations

import re
from typing import Any, Final

from schemas.conversion.losses import ConversionError, Losses
from schemas.formats.avro import parse_avro
from schemas.formats.avro_model import AvroType
from schemas.formats.problems import step

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TO_AVRO: Final[dict[str, Any]] = {
    "string": "string",
    "integer": "long",
    "number": "double",
    "boolean": "boolean",
    "bytes": "bytes",
    "date": {"type": "int", "logicalType": "date"},
    "datetime": {"type": "long", "logicalType": "timestamp-micros"},
    "uuid": {"type": "string", "logicalType": "uuid"},
}
_PLAIN: Final = {
    "boolean": "boolean",
    "float": "number",
    "double": "number",
    "string": "string",
    "bytes": "bytes",
}
_LOGICAL: Final = {
    "date": "date",
    "uuid": "uuid",
    "timestamp-millis": "datetime",
    "timestamp-micros": "datetime",
    "local-timestamp-millis": "datetime",
    "local-timestamp-micros": "datetime",
}
_STRUCTURE: Final = frozenset(
    {
        "name",
        "type",
        "required",
        "nullable",
        "default",
        "description",
        "items",
        "fields",
        "values",
        "precision",
        "scale",
    }
)


def fields_to_avro(name: str, fields: list[dict[str, Any]], losses: Losses) -> dict[str, Any]:
    """A record with the fields; what is not required becomes a union with null."""
    return _Writer(losses).record(_pascal(name), fields, "")


class _Writer:
    def __init__(self, losses: Losses) -> None:
        self.losses = losses
        self.taken: set[str] = set()

    def record(self, name: str, fields: list[dict[str, Any]], pointer: str) -> dict[str, Any]:
        name = self.unique(name)
        written: list[dict[str, Any]] = []
        names: set[str] = set()
        for index, field in enumerate(fields):
            written.append(self.field(field, name, names, step(pointer, index)))
        return {"type": "record", "name": name, "fields": written}

    def field(self, field: dict[str, Any], record: str, names: set[str], pointer: str) -> dict[str, Any]:
        name = _avro_name(field["name"])
        while name in names:
            name += "_"
        names.add(name)
        if name != field["name"]:
            self.losses.add(
                step(pointer, "name"), f"The name is written {name}: Avro takes letters, digits and _."
            )
        entry: dict[str, Any] = {"name": name}
        avro_type = self.type(field, f"{record}_{name}", pointer)
        if field.get("required") and not field.get("nullable"):
            entry["type"] = avro_type
        else:
            entry |= {"type": ["null", avro_type], "default": None}
        if field.get("description"):
            entry["doc"] = field["description"]
        if field.get("default") is not None:
            self.losses.add(step(pointer, "default"), "The default is not carried over.")
        return entry

    def type(self, definition: dict[str, Any], name: str, pointer: str) -> Any:
        kind = definition["type"]
        for key in definition:
            if key not in _STRUCTURE and definition[key] is not False:
                self.losses.add(step(pointer, key), f"Avro has no `{key}`.")
        if kind == "enum":
            return self.enum(definition, name, pointer)
        if kind == "object":
            return self.record(name, definition["fields"], step(pointer, "fields"))
        if kind == "array":
            items = self.type(definition["items"], f"{name}_item", step(pointer, "items"))
            return {
                "type": "array",
                "items": ["null", items] if definition["items"].get("nullable") else items,
            }
        if kind == "decimal":
            precision = definition.get("precision", 38)
            return {
                "type": "bytes",
                "logicalType": "decimal",
                "precision": precision,
                "scale": definition.get("scale", 0 if "precision" in definition else 9),
            }
        return _TO_AVRO[kind]

    def enum(self, definition: dict[str, Any], name: str, pointer: str) -> Any:
        values = definition["values"]
        if all(isinstance(value, str) and _NAME.fullmatch(value) for value in values):
            return {"type": "enum", "name": self.unique(name), "symbols": values}
        self.losses.add(
            step(pointer, "values"), "Not all values are names, so the list of values is left out."
        )
        return "long" if all(isinstance(value, int) for value in values) else "string"

    def unique(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name


def avro_to_fields(content: Any, losses: Losses) -> list[dict[str, Any]]:
    """The fields of a sound Avro record. Raises `ConversionError` for any other schema."""
    root = parse_avro(content)
    if root.kind != "record":
        raise ConversionError("Only an Avro record has fields.")
    return _record_fields(root, losses, 1, (root,))


def _record_fields(
    record: AvroType, losses: Losses, depth: int, trail: tuple[AvroType, ...]
) -> list[dict[str, Any]]:
    found = []
    for field in record.fields:
        definition = _definition(field.type, field.pointer, losses, depth, trail)
        if definition is None:
            continue
        if field.aliases:
            losses.add(field.pointer, "Aliases are not carried over.")
        if field.has_default and field.default is not None:
            losses.add(field.pointer, "The default is not carried over.")
        found.append({"name": field.name, "required": not field.has_default, **definition})
    return found


def _definition(
    avro_type: AvroType, pointer: str, losses: Losses, depth: int, trail: tuple[AvroType, ...]
) -> dict[str, Any] | None:
    losses.count(depth)
    if avro_type.kind == "union":
        branches = [branch for branch in avro_type.branches if branch.kind != "null"]
        if len(branches) != 1:
            losses.add(pointer, "It is left out: a field has exactly one type (and may be nullable).")
            return None
        definition = _definition(branches[0], pointer, losses, depth, trail)
        return definition and {**definition, **({"nullable": True} if len(avro_type.branches) > 1 else {})}
    if avro_type.kind == "record":
        if avro_type in trail:
            losses.add(pointer, "It is left out: a list of fields cannot contain itself.")
            return None
        return {"type": "object", "fields": _record_fields(avro_type, losses, depth + 1, (*trail, avro_type))}
    if avro_type.kind == "array":
        items = _definition(avro_type.element, pointer, losses, depth + 1, trail)
        return items and {"type": "array", "items": items}
    if avro_type.kind == "map":
        losses.add(pointer, "The values of the map are not described any more.")
        return {"type": "object", "fields": [], "additional": True}
    return _scalar(avro_type, pointer, losses)


def _scalar(avro_type: AvroType, pointer: str, losses: Losses) -> dict[str, Any] | None:
    logical = avro_type.logical.get("logicalType")
    if logical == "decimal":
        precision = avro_type.logical.get("precision", 38)
        if precision <= 38:
            return {"type": "decimal", "precision": precision, "scale": avro_type.logical.get("scale", 0)}
    if logical in _LOGICAL:
        return {"type": _LOGICAL[str(logical)]}
    if logical is not None:
        losses.add(pointer, f"The logical type {str(logical)[:60]} is not carried over.")
    if avro_type.kind == "enum":
        return {"type": "enum", "values": list(avro_type.symbols)}
    if avro_type.kind == "int":
        return {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    if avro_type.kind == "long":
        return {"type": "integer"}
    if avro_type.kind == "fixed":
        losses.add(pointer, f"That it has exactly {avro_type.size} bytes is not carried over.")
        return {"type": "bytes"}
    if avro_type.kind == "null":
        losses.add(pointer, "It is left out: a field that is always null has no type.")
        return None
    return {"type": _PLAIN[avro_type.kind]}


def _avro_name(name: str) -> str:
    written = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return written if _NAME.fullmatch(written) else f"_{written}"


def _pascal(name: str) -> str:
    return _avro_name(
        "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name)) or "Record"
    )
