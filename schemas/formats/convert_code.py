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
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "description",
        "additionalProperties",
    }
)
COMBINING: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
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


def is_plain_object(schema: Any) -> bool:
    """Whether its properties are all that it says."""
    return isinstance(schema, dict) and bool(schema.get("properties")) and COMBINING.isdisjoint(schema)


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
        schema = self.source.meaning(schema)
        if not isinstance(schema, dict):
            return self.anything
        self.lose(schema, pointer)
        if not COMBINING.isdisjoint(schema):
            return self.combined(schema, pointer, name)
        if "const" in schema:
            return self.values([schema["const"]])
        if "enum" in schema:
            return self.values(schema["enum"])
        types = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(types, list):
            return self.either([self.type({**schema, "type": entry}, pointer, name) for entry in types])
        if types == "array" and isinstance(schema.get("items"), dict):
            return self.array(self.type(schema["items"], step(pointer, "items"), f"{name}Item"))
        if types == "object":
            return self.object(schema, pointer, name)
        return self.simple.get(types, self.anything) if isinstance(types, str) else self.anything

    def combined(self, schema: dict[str, Any], pointer: str, name: str) -> str:
        """What all of the keywords say that combine other schemas, and the schema's own beside them."""
        made = [self.reference(schema, pointer)] if isinstance(schema.get("$ref"), str) else []
        for key in ("allOf", "anyOf", "oneOf"):
            branches = [
                self.type(branch, step(pointer, key, index), f"{name}{index + 1}")
                for index, branch in enumerate(schema.get(key, ()))
            ]
            if branches:
                made += branches if key == "allOf" else [self.either(branches)]
        own = {key: value for key, value in schema.items() if key not in COMBINING}
        made.append(self.type(own, pointer, f"{name}Own" if "properties" in own else name))
        telling = [part for part in dict.fromkeys(made) if part not in (self.anything, self.simple["object"])]
        return self.both(telling, pointer) if telling else made[0]

    def both(self, made: list[str], pointer: str) -> str:
        """What fits all the types of `made`, which has at least one."""
        raise NotImplementedError

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

    def lose(self, schema: dict[str, Any], pointer: str) -> None:
        self.source.lose_keywords(schema, pointer, KEPT, self.language)
        self.source.lose_required(schema, pointer, " here")
        if isinstance(schema.get("items"), list):
            self.source.lose(step(pointer, "items"), "Types for each place of a list are not kept.")
        if schema.get("additionalProperties") is False and not schema.get("properties"):
            self.source.lose(
                step(pointer, "additionalProperties"), "An object without any property has no type."
            )

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
        if not is_plain_object(schema):
            return f"export type {name} = {self.type(schema, pointer, name)};"
        self.lose(schema, pointer)
        lines = [f"export interface {name} {{"]
        for key, entry in schema["properties"].items():
            if isinstance(entry, dict) and isinstance(entry.get("description"), str):
                lines.append(f"  /** {quoted(entry['description'])} */")
            mark = "" if key in schema.get("required", ()) else "?"
            made = self.type(entry, step(pointer, "properties", key), f"{name}{type_name(key)}")
            lines.append(f"  {json.dumps(key)}{mark}: {made};")
        additional = schema.get("additionalProperties", True)
        if isinstance(additional, dict):
            self.source.lose(step(pointer, "additionalProperties"), "Further properties have no type.")
        if additional is not False:
            lines.append("  [key: string]: unknown;")
        return "\n".join([*lines, "}"])

    def values(self, values: list[Any]) -> str:
        return self.either(
            [json.dumps(v) if not isinstance(v, dict | list) else self.anything for v in values]
        )

    def both(self, made: list[str], pointer: str) -> str:
        return " & ".join(f"({part})" if "|" in part else part for part in made) if made[1:] else made[0]

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
        if not is_plain_object(schema):
            return f"{name}: TypeAlias = {self.quoted_type(self.type(schema, pointer, name))}"
        self.lose(schema, pointer)
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

    def both(self, made: list[str], pointer: str) -> str:
        if made[1:]:
            self.source.lose(pointer, f"Python has no type for all of {', '.join(made)} at once.")
            return self.anything
        return made[0]

    def array(self, inner: str) -> str:
        return f"list[{inner}]"

    def map(self, inner: str) -> str:
        return f"dict[str, {inner}]"
