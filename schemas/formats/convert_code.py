"""JSON Schema to source code: TypeScript types and Python `TypedDict`s.

Every text from the schema is written as a JSON string or squeezed into one line of a comment, so
that no name or description can break out of its place.
"""

import json
from typing import Any, Final

from schemas.formats.convert_loss import Loss, Source, quoted, type_name
from schemas.formats.problems import step

KEPT: Final = frozenset(
    {
        "type",
        "properties",
        "required",
        "items",
        "prefixItems",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "description",
        "default",
        "additionalProperties",
    }
)
TYPESCRIPT: Final = {
    "null": "null",
    "boolean": "boolean",
    "integer": "number",
    "number": "number",
    "string": "string",
    "array": "unknown[]",
    "object": "Record<string, unknown>",
}
PYTHON: Final = {
    "null": "None",
    "boolean": "bool",
    "integer": "int",
    "number": "float",
    "string": "str",
    "array": "list[Any]",
    "object": "dict[str, Any]",
}


def json_schema_to_typescript(root: Any, lost: list[Loss]) -> str:
    """TypeScript declarations; the document's own type is `Document`."""
    return _TypeScript(Source(root, lost)).module()


def json_schema_to_python(root: Any, lost: list[Loss]) -> str:
    """A Python module (3.11 or later) of `TypedDict`s; the document's own type is `Document`."""
    return _Python(Source(root, lost)).module()


class _Code:
    language = ""
    simple: dict[str, str] = {}
    anything = ""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.declared: dict[str, str] = {}
        self.references: dict[int, str] = {}

    def module(self) -> str:
        self.declare("Document", self.source.root, "")
        return self.header() + "\n\n".join(self.declared.values()) + "\n"

    def declare(self, name: str, schema: Any, pointer: str) -> str:
        self.references[id(schema)] = name
        self.declared[name] = ""
        self.declared[name] = self.declaration(name, schema, pointer)
        return name

    def type(self, schema: Any, pointer: str, name: str) -> str:
        if not isinstance(schema, dict):
            return self.anything
        self.source.lose_keywords(schema, pointer, KEPT, self.language)
        if isinstance(schema.get("$ref"), str):
            return self.reference(schema, pointer)
        if "const" in schema:
            return self.values([schema["const"]])
        if "enum" in schema:
            return self.values(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                made = [
                    self.type(b, step(pointer, key, i), f"{name}{i + 1}") for i, b in enumerate(schema[key])
                ]
                return self.either(made)
        types = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(types, list):
            return self.either([self.type({**schema, "type": entry}, pointer, name) for entry in types])
        if types == "array" and isinstance(schema.get("items"), dict):
            return self.array(self.type(schema["items"], step(pointer, "items"), f"{name}Item"))
        if types == "object":
            return self.object(schema, pointer, name)
        return self.simple.get(types, self.anything) if isinstance(types, str) else self.anything

    def reference(self, schema: dict[str, Any], pointer: str) -> str:
        target = self.source.target_of(schema)
        if target is None:
            self.source.lose(step(pointer, "$ref"), "The reference leads to another schema.")
            return self.anything
        if id(target) in self.references:
            return self.named(self.references[id(target)])
        name = self.fresh(type_name(schema["$ref"].rpartition("/")[2]))
        return self.named(self.declare(name, target, schema["$ref"][1:]))

    def object(self, schema: dict[str, Any], pointer: str, name: str) -> str:
        if not schema.get("properties"):
            values = schema.get("additionalProperties", True)
            if values is True or not isinstance(values, dict):
                return self.simple["object"]
            return self.map(self.type(values, step(pointer, "additionalProperties"), f"{name}Value"))
        return self.named(self.declare(self.fresh(type_name(name)), schema, pointer))

    def fresh(self, name: str) -> str:
        made, number = name, 2
        while made in self.declared:
            made, number = f"{name}{number}", number + 1
        return made

    def either(self, made: list[str]) -> str:
        return " | ".join(dict.fromkeys(made)) or self.anything

    def header(self) -> str:
        raise NotImplementedError

    def declaration(self, name: str, schema: Any, pointer: str) -> str:
        raise NotImplementedError

    def values(self, values: list[Any]) -> str:
        raise NotImplementedError

    def array(self, inner: str) -> str:
        raise NotImplementedError

    def map(self, inner: str) -> str:
        raise NotImplementedError

    def named(self, name: str) -> str:
        return name


class _TypeScript(_Code):
    language = "TypeScript"
    simple = TYPESCRIPT
    anything = "unknown"

    def header(self) -> str:
        return ""

    def declaration(self, name: str, schema: Any, pointer: str) -> str:
        if not isinstance(schema, dict) or not schema.get("properties"):
            return f"export type {name} = {self.type(schema, pointer, name)};"
        self.source.lose_keywords(schema, pointer, KEPT, self.language)
        lines = [f"export interface {name} {{"]
        for key, entry in schema["properties"].items():
            if isinstance(entry, dict) and isinstance(entry.get("description"), str):
                lines.append(f"  /** {quoted(entry['description'])} */")
            mark = "" if key in schema.get("required", ()) else "?"
            made = self.type(entry, step(pointer, "properties", key), f"{name}{type_name(key)}")
            lines.append(f"  {json.dumps(key)}{mark}: {made};")
        if schema.get("additionalProperties", True) is not False:
            lines.append("  [key: string]: unknown;")
        return "\n".join([*lines, "}"])

    def values(self, values: list[Any]) -> str:
        return self.either(
            [json.dumps(v) if not isinstance(v, dict | list) else self.anything for v in values]
        )

    def array(self, inner: str) -> str:
        return f"Array<{inner}>"

    def map(self, inner: str) -> str:
        return f"Record<string, {inner}>"


class _Python(_Code):
    language = "Python"
    simple = PYTHON
    anything = "Any"

    def header(self) -> str:
        return "from typing import Any, Literal, NotRequired, TypeAlias, TypedDict\n\n"

    def declaration(self, name: str, schema: Any, pointer: str) -> str:
        if not isinstance(schema, dict) or not schema.get("properties"):
            return f"{name}: TypeAlias = {self.quoted_type(self.type(schema, pointer, name))}"
        self.source.lose_keywords(schema, pointer, KEPT, self.language)
        lines = [f"{name} = TypedDict(", f"    {name!r},", "    {"]
        for key, entry in schema["properties"].items():
            if isinstance(entry, dict) and isinstance(entry.get("description"), str):
                lines.append(f"        # {quoted(entry['description'])}")
            made = self.type(entry, step(pointer, "properties", key), f"{name}{type_name(key)}")
            made = self.quoted_type(made if key in schema.get("required", ()) else f"NotRequired[{made}]")
            lines.append(f"        {json.dumps(key)}: {made},")
        if schema.get("additionalProperties", True) is not False:
            self.source.lose(step(pointer, "additionalProperties"), "A TypedDict names all of its keys.")
        return "\n".join([*lines, "    },", ")"])

    def quoted_type(self, made: str) -> str:
        """The type as a string: it may name a type that is declared further down."""
        return repr(made)

    def values(self, values: list[Any]) -> str:
        if any(isinstance(value, dict | list | float) for value in values):
            return self.anything
        return f"Literal[{', '.join(repr(value) for value in values)}]" if values else self.anything

    def array(self, inner: str) -> str:
        return f"list[{inner}]"

    def map(self, inner: str) -> str:
        return f"dict[str, {inner}]"
