"""Avro to JSON Schema and back."""

from typing import Any, Final

from schemas.formats.avro import NAME, parse_avro
from schemas.formats.avro_model import AvroType
from schemas.formats.convert_loss import Loss, Source, identifier, type_name
from schemas.formats.field_schema import DIALECT
from schemas.formats.problems import FormatError, step

PLAIN: Final[dict[str, dict[str, Any]]] = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "int": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "bytes": {"type": "string", "pattern": "^[\\u0000-\\u00ff]*$"},
}
LOGICAL: Final = {
    ("string", "date-time"): {"type": "long", "logicalType": "timestamp-millis"},
    ("string", "date"): {"type": "int", "logicalType": "date"},
    ("string", "uuid"): {"type": "string", "logicalType": "uuid"},
}
KEPT: Final = frozenset(
    {
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "format",
        "additionalProperties",
    }
)

BESIDE: Final = frozenset({"type"})
"""What says nothing more beside a reference or alternatives."""


def avro_to_json_schema(content: Any, lost: list[Loss]) -> Any:
    """The JSON Schema of the plain JSON form of an Avro schema's data; named types become `$defs`."""
    definitions: dict[str, Any] = {}
    schema = _avro_node(parse_avro(content), definitions, lost)
    made = {"$schema": DIALECT, **schema}
    return made | {"$defs": definitions} if definitions else made


def _avro_node(avro: AvroType, definitions: dict[str, Any], lost: list[Loss]) -> dict[str, Any]:
    if avro.logical:
        lost.append(Loss(avro.pointer, f"The logical type {avro.logical.get('logicalType')} is not kept."))
    if avro.kind == "union" and not avro.branches:
        return {"not": {}}
    if avro.kind == "union":
        return {"anyOf": [_avro_node(branch, definitions, lost) for branch in avro.branches]}
    if avro.kind == "array":
        return {"type": "array", "items": _avro_node(avro.element, definitions, lost)}
    if avro.kind == "map":
        return {"type": "object", "additionalProperties": _avro_node(avro.element, definitions, lost)}
    if avro.kind == "long" and not avro.logical:
        lost.append(Loss(avro.pointer, "That a long has 64 bits is not kept."))
    if not avro.name:
        return dict(PLAIN[avro.kind])
    if avro.name not in definitions:
        definitions[avro.name] = {}
        definitions[avro.name] = _avro_named(avro, definitions, lost)
    return {"$ref": f"#/$defs/{avro.name}"}


def _avro_named(avro: AvroType, definitions: dict[str, Any], lost: list[Loss]) -> dict[str, Any]:
    if avro.aliases:
        lost.append(Loss(avro.pointer, f"The aliases of {avro.name} are not kept."))
    described: dict[str, Any] = {"description": avro.doc} if avro.doc else {}
    if avro.default_symbol is not None:
        lost.append(Loss(avro.pointer, f"The default of {avro.name}, for symbols not known, is not kept."))
    if avro.kind == "enum":
        return described | {"enum": list(avro.symbols)}
    if avro.kind == "fixed":
        pattern = PLAIN["bytes"]["pattern"]
        return described | {
            "type": "string",
            "minLength": avro.size,
            "maxLength": avro.size,
            "pattern": pattern,
        }
    properties = {}
    for field in avro.fields:
        properties[field.name] = _avro_node(field.type, definitions, lost)
        if field.has_default:
            properties[field.name] = properties[field.name] | {"default": field.default}
        if field.doc:
            properties[field.name] = properties[field.name] | {"description": field.doc}
        if field.order not in (None, "ascending"):
            lost.append(Loss(field.pointer, f"The sort order of {field.name} is not kept."))
        if field.aliases:
            lost.append(Loss(field.pointer, f"The aliases of {field.name} are not kept."))
    required = [field.name for field in avro.fields if not field.has_default]
    made = described | {"type": "object", "properties": properties, "additionalProperties": False}
    return made | {"required": required} if required else made


def json_schema_to_avro(root: Any, lost: list[Loss]) -> Any:
    """An Avro schema for the data of a JSON Schema. Raises `FormatError` where there is none."""
    return _ToAvro(Source(root, lost)).node(root, "", "Record", ())


class _ToAvro:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: set[str] = set()
        self.references: dict[int, str] = {}

    def node(self, schema: Any, pointer: str, name: str, above: tuple[int, ...]) -> Any:
        self.source.spend(1)  # what is referred to is written out each time, unless it is a record
        schema, nullable = self.source.nullable(schema, pointer)
        made = self.plain(schema, pointer, name, above)
        return ["null", *(made if isinstance(made, list) else [made])] if nullable else made

    def plain(self, schema: Any, pointer: str, name: str, above: tuple[int, ...]) -> Any:
        if not isinstance(schema, dict):
            return self.anything(pointer)
        if isinstance(schema.get("$ref"), str):
            self.source.lose_keywords(schema, pointer, BESIDE | {"$ref"}, "avro")
            return self.reference(schema, pointer, above)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                self.source.lose_keywords(schema, pointer, BESIDE | {key}, "avro")
                branches = schema[key]
                made = [
                    self.node(b, step(pointer, key, i), f"{name}{i + 1}", above)
                    for i, b in enumerate(branches)
                ]
                return self.union(made, pointer)
        if isinstance(schema.get("type"), list):
            return self.union(
                [self.plain({**schema, "type": t}, pointer, name, above) for t in schema["type"]], pointer
            )
        kind = schema.get("type", "object" if "properties" in schema else None)
        has_doc = "enum" in schema or (kind == "object" and not is_map(schema))
        self.source.lose_keywords(schema, pointer, KEPT | {"description"} if has_doc else KEPT, "avro")
        if "enum" in schema:
            return self.enum(schema, pointer, name)
        if kind == "object":
            return self.object(schema, pointer, name, above)
        if kind == "array":
            items = schema.get("items", True)
            return {"type": "array", "items": self.node(items, step(pointer, "items"), f"{name}Item", above)}
        return self.scalar(schema, kind, pointer)

    def scalar(self, schema: dict[str, Any], kind: str | None, pointer: str) -> Any:
        logical = LOGICAL.get((kind or "", schema.get("format", "")))
        if logical:
            if logical["type"] != "string":
                self.source.lose(
                    pointer, f"Data changes from a string to {logical['logicalType']}, a number."
                )
            return dict(logical)
        if "format" in schema:
            self.source.lose(step(pointer, "format"), "`format` cannot be said in avro.")
        simple = {
            "integer": "long",
            "number": "double",
            "boolean": "boolean",
            "string": "string",
            "null": "null",
        }
        return simple[kind] if kind in simple else self.anything(pointer)

    def object(self, schema: dict[str, Any], pointer: str, name: str, above: tuple[int, ...]) -> Any:
        self.source.lose_required(schema, pointer, "")
        if is_map(schema):
            values = schema.get("additionalProperties", True)
            return {
                "type": "map",
                "values": self.node(values, step(pointer, "additionalProperties"), f"{name}Value", above),
            }
        if schema.get("additionalProperties", True) is not False:
            self.source.lose(step(pointer, "additionalProperties"), "A record has no further fields.")
        record: dict[str, Any] = {"type": "record", "name": self.fresh(name), "fields": []}
        if isinstance(schema.get("description"), str):
            record["doc"] = schema["description"]
        taken: set[str] = set()
        for key, entry in schema.get("properties", {}).items():
            here = step(pointer, "properties", key)
            if not NAME.fullmatch(key):
                self.source.lose(here, f"{key!r} is no Avro name; it becomes one.")
            entry, doc = without_description(self.source.meaning(entry))
            made = self.node(entry, here, f"{name}{type_name(key)}", above)
            field = self.field(
                unused(identifier(key), taken), made, required=key in schema.get("required", ())
            )
            record["fields"].append(field | doc)
        return record

    def field(self, name: str, made: Any, *, required: bool) -> dict[str, Any]:
        """An optional field may be null, and is null unless it is written."""
        if required:
            return {"name": name, "type": made}
        branches = made if isinstance(made, list) else [made]
        return {"name": name, "type": ["null", *(b for b in branches if b != "null")], "default": None}

    def enum(self, schema: dict[str, Any], pointer: str, name: str) -> Any:
        values = schema["enum"]
        if values and all(isinstance(value, str) and NAME.fullmatch(value) for value in values):
            made = {"type": "enum", "name": self.fresh(name), "symbols": list(dict.fromkeys(values))}
            return made | without_description(schema)[1]
        self.source.lose(step(pointer, "enum"), "Avro symbols are names; the listed values are not kept.")
        kinds = {type(value) for value in values}
        return (
            {str: "string", int: "long", bool: "boolean"}.get(kinds.pop(), "string")
            if len(kinds) == 1
            else "string"
        )

    def reference(self, schema: dict[str, Any], pointer: str, above: tuple[int, ...]) -> Any:
        target = self.source.target_of(schema)
        if not isinstance(target, dict):
            return self.anything(pointer)
        known = self.references.get(id(target))
        if known is not None:
            return known
        if id(target) in above:
            raise FormatError(
                "CONVERSION_IMPOSSIBLE", "Avro cannot say a recursive type that is not a record."
            )
        name = type_name(schema["$ref"].rpartition("/")[2])
        if target.get("type") == "object" and target.get("properties"):
            self.references[id(target)] = self.peek(name)
        made = self.node(target, schema["$ref"][1:], name, (*above, id(target)))
        if isinstance(made, dict) and made.get("type") == "enum":
            self.references[id(target)] = made["name"]
        return made

    def union(self, made: list[Any], pointer: str) -> Any:
        """One level, no kind twice: what would be twice is lost."""
        flat: dict[str, Any] = {}
        for branch in (entry for item in made for entry in (item if isinstance(item, list) else [item])):
            kind = branch if isinstance(branch, str) else branch.get("name") or branch["type"]
            if kind in flat and flat[kind] != branch:
                self.source.lose(pointer, f"A union has one branch of {kind} only.")
            flat.setdefault(kind, branch)
        return next(iter(flat.values())) if len(flat) == 1 else list(flat.values())

    def anything(self, pointer: str) -> str:
        self.source.lose(pointer, "Avro has no type for any value: it becomes a string that holds JSON.")
        return "string"

    def peek(self, name: str) -> str:
        return unused(identifier(name, "Record"), set(self.names))

    def fresh(self, name: str) -> str:
        return unused(identifier(name, "Record"), self.names)


def is_map(schema: dict[str, Any]) -> bool:
    """Whether an object's schema names no property and admits some."""
    return not schema.get("properties") and schema.get("additionalProperties", True) is not False


def without_description(schema: Any) -> tuple[Any, dict[str, str]]:
    """(`schema` without its description, the description as Avro's `doc`)."""
    if not isinstance(schema, dict) or not isinstance(schema.get("description"), str):
        return schema, {}
    return {key: value for key, value in schema.items() if key != "description"}, {
        "doc": schema["description"]
    }


def unused(name: str, taken: set[str]) -> str:
    """`name`, numbered if it is taken already; it is taken from now on."""
    made, number = name, 2
    while made in taken:
        made, number = f"{name}{number}", number + 1
    taken.add(made)
    return made
