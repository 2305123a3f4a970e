"""The `avro` format: schemas of the Avro 1.11 specification, parsed strictly.

Everything that the specification demands of a schema is checked, each problem with its pointer:
names and namespaces, definition before use, one definition per name, unions (none directly inside
another, no two branches of one kind), symbols, sizes, aliases, and defaults (of a union: of its
first branch, as 1.11 has it). Logical types that are known must stand on a type that can carry them.
"""

import re
from contextlib import suppress
from typing import Any, Final

from schemas.formats.avro_default import default_problem
from schemas.formats.avro_logical import logical_problem
from schemas.formats.avro_model import COMPLEX, NAMED, PRIMITIVES, AvroField, AvroType
from schemas.formats.limits import MAX_ENUM_VALUES, MAX_FIELDS, MAX_FIXED_SIZE
from schemas.formats.problems import FormatError, ProblemList, TooManyProblemsError, shown, step

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAMESPACE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
ORDERS: Final = ("ascending", "descending", "ignore")


def check_avro(content: Any, problems: ProblemList) -> None:
    """Adds every problem of the Avro schema `content`, already known to be sound JSON."""
    AvroParser(problems).parse(content)


def parse_avro(content: Any) -> AvroType:
    """The Avro schema `content`, already known to be sound JSON, with its names resolved.

    Raises `FormatError` (`SCHEMA_INVALID`, with the problems) if it is no Avro schema.
    """
    problems = ProblemList()
    parsed = None
    with suppress(TooManyProblemsError):
        parsed = AvroParser(problems).parse(content)
    if parsed is None or len(problems):
        found = problems.as_list()
        raise FormatError("SCHEMA_INVALID", f"This is no Avro schema: {found[0].message}", problems=found)
    return parsed


class AvroParser:
    """Parses one schema. A type that cannot be made sense of is None, and a problem says why."""

    def __init__(self, problems: ProblemList) -> None:
        self.problems = problems
        self.named: dict[str, AvroType] = {}
        self.fields_seen = 0
        self.defaults: list[tuple[AvroType, Any, str]] = []

    def parse(self, content: Any) -> AvroType | None:
        parsed = self.type(content, "", "")
        if not len(self.problems):
            for field_type, default, pointer in self.defaults:
                if reason := default_problem(field_type, default):
                    self.problems.add("DEFAULT_NOT_ADMITTED", pointer, reason)
        return parsed

    def type(self, content: Any, pointer: str, namespace: str) -> AvroType | None:
        if isinstance(content, str):
            return self.reference(content, pointer, namespace)
        if isinstance(content, list):
            return self.union(content, pointer, namespace)
        if not isinstance(content, dict):
            message = f"An Avro schema is a string, an object or a list, not {shown(content)}."
            self.problems.add("TYPE_INVALID", pointer, message)
            return None
        kind = content.get("type")
        if kind is None:
            self.problems.add("TYPE_MISSING", pointer, "A schema has a `type`.")
            return None
        if isinstance(kind, dict | list):
            return self.type(kind, step(pointer, "type"), namespace)
        if kind in COMPLEX:
            parsed = getattr(self, "record" if kind == "error" else kind)(content, pointer, namespace)
        else:
            parsed = self.reference(kind, step(pointer, "type"), namespace)
            if parsed is not None and kind in PRIMITIVES:
                parsed.pointer = pointer
        return self.logical(parsed, content, pointer)

    def reference(self, name: Any, pointer: str, namespace: str) -> AvroType | None:
        if name in PRIMITIVES and isinstance(name, str):
            return AvroType(kind=name, pointer=pointer)
        if not isinstance(name, str) or not NAMESPACE.fullmatch(name):
            self.problems.add("TYPE_UNKNOWN", pointer, f"{shown(name)} is no type.")
            return None
        known = self.named.get(_full_name(name, namespace))
        if known is None:
            message = f"{shown(name)} is no primitive type and is not defined before this point."
            self.problems.add("TYPE_UNKNOWN", pointer, message)
        return known

    def union(self, content: list[Any], pointer: str, namespace: str) -> AvroType:
        union = AvroType(kind="union", pointer=pointer)
        seen: set[str] = set()
        if len(content) > MAX_ENUM_VALUES:
            self.problems.add(
                "TOO_MANY_BRANCHES", pointer, f"A union has at most {MAX_ENUM_VALUES} branches."
            )
            return union
        for index, entry in enumerate(content):
            branch = self.type(entry, step(pointer, index), namespace)
            if branch is None:
                continue
            identity = branch.name or branch.kind
            if branch.kind == "union":
                self.problems.add("UNION_NESTED", step(pointer, index), "A union holds no other union.")
            elif identity in seen:
                message = f"The union has two branches of {branch.title}."
                self.problems.add("UNION_DUPLICATE", step(pointer, index), message)
            seen.add(identity)
            union.branches.append(branch)
        return union

    def record(self, content: dict[str, Any], pointer: str, namespace: str) -> AvroType:
        record = self.define("record", content, pointer, namespace)
        fields = content.get("fields")
        if not isinstance(fields, list):
            self.problems.add("FIELDS_MISSING", pointer, "A record lists its `fields`.")
            return record
        self.fields_seen += len(fields)
        if self.fields_seen > MAX_FIELDS:
            message = f"A schema defines at most {MAX_FIELDS} fields."
            self.problems.add("TOO_MANY_FIELDS", step(pointer, "fields"), message)
            return record
        names: set[str] = set()
        for index, entry in enumerate(fields):
            self.field(record, entry, step(pointer, "fields", index), names)
        return record

    def field(self, record: AvroType, content: Any, pointer: str, names: set[str]) -> None:
        if not isinstance(content, dict):
            self.problems.add("FIELD_NOT_AN_OBJECT", pointer, f"A field is an object, not {shown(content)}.")
            return
        name = content.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            message = "A field has a `name` of letters, digits and underscores that starts with no digit."
            self.problems.add("NAME_INVALID", pointer, message)
            return
        if name in names:
            self.problems.add(
                "NAME_DUPLICATE", step(pointer, "name"), f"{shown(name)} is the name of two fields."
            )
        names.add(name)
        if content.get("order", "ascending") not in ORDERS:
            self.problems.add(
                "ORDER_INVALID", step(pointer, "order"), f"`order` is one of {', '.join(ORDERS)}."
            )
        if "type" not in content:
            self.problems.add("TYPE_MISSING", pointer, "A field has a `type`.")
            return
        field_type = self.type(content["type"], step(pointer, "type"), record.name.rpartition(".")[0])
        if field_type is None:
            return
        aliases = self.aliases(content, pointer, NAME)
        field = AvroField(name, field_type, pointer, aliases, "default" in content, content.get("default"))
        field.doc, field.order = _text(content, "doc"), _text(content, "order")
        record.fields.append(field)
        if field.has_default:
            self.defaults.append((field_type, field.default, step(pointer, "default")))

    def enum(self, content: dict[str, Any], pointer: str, namespace: str) -> AvroType:
        enum = self.define("enum", content, pointer, namespace)
        symbols = content.get("symbols")
        here = step(pointer, "symbols")
        if not isinstance(symbols, list):
            self.problems.add("SYMBOLS_MISSING", pointer, "An enum lists its `symbols`.")
            return enum
        if len(symbols) > MAX_ENUM_VALUES:
            self.problems.add("TOO_MANY_ENUM_VALUES", here, f"An enum has at most {MAX_ENUM_VALUES} symbols.")
            return enum
        seen: set[str] = set()
        for index, symbol in enumerate(symbols):
            if not isinstance(symbol, str) or not NAME.fullmatch(symbol):
                message = f"A symbol is a name of letters, digits and underscores, not {shown(symbol)}."
                self.problems.add("SYMBOL_INVALID", step(here, index), message)
            elif symbol in seen:
                self.problems.add("SYMBOL_DUPLICATE", step(here, index), f"{shown(symbol)} is listed twice.")
            else:
                seen.add(symbol)
        enum.symbols = tuple(symbol for symbol in symbols if isinstance(symbol, str))
        if "default" in content:
            if not isinstance(content["default"], str) or content["default"] not in seen:
                message = "The default of an enum is one of its symbols."
                self.problems.add("DEFAULT_NOT_ADMITTED", step(pointer, "default"), message)
            else:
                enum.default_symbol = content["default"]
        return enum

    def fixed(self, content: dict[str, Any], pointer: str, namespace: str) -> AvroType:
        fixed = self.define("fixed", content, pointer, namespace)
        size = content.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_FIXED_SIZE:
            message = f"A fixed has a `size`, a whole number of bytes up to {MAX_FIXED_SIZE}."
            self.problems.add("SIZE_INVALID", pointer, message)
        else:
            fixed.size = size
        return fixed

    def array(self, content: dict[str, Any], pointer: str, namespace: str) -> AvroType | None:
        return self.collection("array", "items", content, pointer, namespace)

    def map(self, content: dict[str, Any], pointer: str, namespace: str) -> AvroType | None:
        return self.collection("map", "values", content, pointer, namespace)

    def collection(
        self, kind: str, keyword: str, content: dict[str, Any], pointer: str, namespace: str
    ) -> AvroType | None:
        if keyword not in content:
            self.problems.add("ITEMS_MISSING", pointer, f"An Avro {kind} says what its `{keyword}` are.")
            return None
        element = self.type(content[keyword], step(pointer, keyword), namespace)
        return None if element is None else AvroType(kind=kind, pointer=pointer, items=element)

    def define(self, kind: str, content: dict[str, Any], pointer: str, namespace: str) -> AvroType:
        """A named type, entered into the names before its fields, which may refer to it."""
        name = content.get("name")
        if not isinstance(name, str) or not NAMESPACE.fullmatch(name):
            self.problems.add(
                "NAME_INVALID", pointer, f"This {kind} needs a `name` of letters, digits, underscores."
            )
            name = ""
        declared = content.get("namespace")
        if declared is not None and not (
            isinstance(declared, str) and (not declared or NAMESPACE.fullmatch(declared))
        ):
            self.problems.add(
                "NAMESPACE_INVALID", step(pointer, "namespace"), "A namespace is names joined by dots."
            )
            declared = None
        full_name = _full_name(name, namespace if declared is None else declared)
        if name and (full_name in self.named or name in PRIMITIVES):
            message = f"{shown(full_name)} is the name of another type."
            self.problems.add("NAME_DUPLICATE", step(pointer, "name"), message)
        own_namespace = full_name.rpartition(".")[0]
        doc = _text(content, "doc")
        aliases = tuple(
            _full_name(alias, own_namespace) for alias in self.aliases(content, pointer, NAMESPACE)
        )
        parsed = AvroType(kind=kind, pointer=pointer, name=full_name, aliases=aliases, doc=doc)
        if name:
            self.named[full_name] = parsed
        return parsed

    def aliases(self, content: dict[str, Any], pointer: str, form: re.Pattern[str]) -> tuple[str, ...]:
        aliases = content.get("aliases", [])
        if not isinstance(aliases, list) or not all(
            isinstance(a, str) and form.fullmatch(a) for a in aliases
        ):
            self.problems.add("ALIASES_INVALID", step(pointer, "aliases"), "Aliases are a list of names.")
            return ()
        return tuple(aliases)

    def logical(self, parsed: AvroType | None, content: dict[str, Any], pointer: str) -> AvroType | None:
        if (
            parsed is None
            or not isinstance(content.get("logicalType"), str)
            or content["type"]
            not in (
                *PRIMITIVES,
                *NAMED,
                "array",
                "map",
            )
        ):
            return parsed
        if reason := logical_problem(parsed, content):
            self.problems.add("LOGICAL_TYPE_INVALID", step(pointer, "logicalType"), reason)
        parsed.logical = {
            key: content[key] for key in ("logicalType", "precision", "scale") if key in content
        }
        return parsed


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace or not name else f"{namespace}.{name}"


def _text(content: dict[str, Any], name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) else None
