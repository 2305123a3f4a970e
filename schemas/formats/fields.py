"""The `fields` format: a record described as a list of fields.

A schema document is a list of at most 2,000 definitions, nested ones counted::

    [{"name": "user_id", "type": "uuid", "required": true, "description": "Who did it"},
     {"name": "amount", "type": "decimal", "precision": 12, "scale": 2, "minimum": 0},
     {"name": "tags", "type": "array", "items": {"type": "string", "max_length": 20}}]

A document of such a schema is a JSON object. It may hold the named fields and nothing else, must
hold the required ones, and each value must be one that its type admits.

Every definition has `type` and may have `nullable` (default false: null is refused), `default`
(a value that the definition itself admits; information for readers, nothing is filled in) and
`description`. A definition in a list of fields also has `name` (1-128 characters, unique in its
list) and may have `required` (default false).

======== ================================== ==================================================
type     constraints                        the JSON value
======== ================================== ==================================================
string   min_length, max_length (characters) any string
         pattern (found anywhere; linear)
         format (email, hostname, ipv4,
         ipv6, uri, time, duration)
integer  minimum, maximum,                  a number without a fraction
         exclusive_minimum,
         exclusive_maximum, multiple_of
number   as integer                         a number
decimal  as integer, and precision (1-38),  a number with at most `precision` digits, `scale` of
         scale (0-precision, default 0)     them after the point
boolean                                     true or false
date                                        a string: RFC 3339 full-date, `2026-01-31`
datetime                                    a string: RFC 3339 date-time, with its offset
uuid                                        a string: RFC 9562, hyphenated
bytes                                       a string: base64 with padding (RFC 4648 section 4)
enum     values (required): 1-5,000         one of them
         different strings or integers
array    items (required): a definition,    an array
         min_items, max_items,
         unique_items
object   fields (required): such a list,    an object
         additional (default false: only
         the named fields)
======== ================================== ==================================================
"""

from typing import Any, Final

from schemas.formats.field_constraints import check_constraints
from schemas.formats.field_default import check_default
from schemas.formats.limits import (
    MAX_DESCRIPTION_LENGTH,
    MAX_FIELDS,
    MAX_NAME_LENGTH,
    MAX_PATTERNS_BYTES,
)
from schemas.formats.patterns import TOO_MANY_PATTERNS, pattern_bytes, pattern_problem
from schemas.formats.problems import ProblemList, shown, step

NUMERIC_CONSTRAINTS: Final = frozenset(
    {"minimum", "maximum", "exclusive_minimum", "exclusive_maximum", "multiple_of"}
)
CONSTRAINTS: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({"min_length", "max_length", "pattern", "format"}),
    "integer": NUMERIC_CONSTRAINTS,
    "number": NUMERIC_CONSTRAINTS,
    "decimal": NUMERIC_CONSTRAINTS | {"precision", "scale"},
    "boolean": frozenset(),
    "date": frozenset(),
    "datetime": frozenset(),
    "uuid": frozenset(),
    "bytes": frozenset(),
    "enum": frozenset({"values"}),
    "array": frozenset({"items", "min_items", "max_items", "unique_items"}),
    "object": frozenset({"fields", "additional"}),
}
"""Every type, with the constraints that fit it."""

TYPES: Final = tuple(CONSTRAINTS)
COMMON_KEYS: Final = frozenset({"type", "nullable", "default", "description"})
FIELD_KEYS: Final = frozenset({"name", "required"})
ALL_CONSTRAINTS: Final = frozenset().union(*CONSTRAINTS.values())


def check_fields(content: Any, problems: ProblemList) -> None:
    """Adds every problem of the `fields` document `content`, already known to be sound JSON."""
    _Checker(problems).field_list(content, "")


class _Checker:
    def __init__(self, problems: ProblemList) -> None:
        self.problems = problems
        self.fields_seen = 0
        self.pattern_bytes = 0

    def field_list(self, content: Any, pointer: str) -> None:
        if not isinstance(content, list):
            self.problems.add(
                "FIELDS_NOT_A_LIST", pointer, f"Fields are a list of definitions, not {shown(content)}."
            )
            return
        self.fields_seen += len(content)
        if self.fields_seen > MAX_FIELDS:
            self.problems.add("TOO_MANY_FIELDS", pointer, f"A schema defines at most {MAX_FIELDS} fields.")
            return
        first_pointers: dict[str, str] = {}
        for index, definition in enumerate(content):
            self.field(definition, step(pointer, index), first_pointers)

    def field(self, definition: Any, pointer: str, first_pointers: dict[str, str]) -> None:
        if not isinstance(definition, dict):
            self.problems.add(
                "FIELD_NOT_AN_OBJECT", pointer, f"A field is an object, not {shown(definition)}."
            )
            return
        self.name(definition, pointer, first_pointers)
        if not isinstance(definition.get("required", False), bool):
            self.problems.add(
                "REQUIRED_NOT_BOOLEAN", step(pointer, "required"), "`required` is true or false."
            )
        self.definition(definition, pointer, own_keys=FIELD_KEYS)

    def name(self, definition: dict[str, Any], pointer: str, first_pointers: dict[str, str]) -> None:
        name = definition.get("name")
        if name is None:
            self.problems.add("NAME_MISSING", pointer, "Every field has a `name`.")
        elif not _is_name(name):
            message = f"A name is 1 to {MAX_NAME_LENGTH} printable characters, no space at its ends."
            self.problems.add("NAME_INVALID", step(pointer, "name"), message)
        elif name in first_pointers:
            message = f"The name {shown(name)} is taken by the field at {first_pointers[name]}."
            self.problems.add("NAME_DUPLICATE", step(pointer, "name"), message)
        else:
            first_pointers[name] = pointer

    def definition(self, definition: dict[str, Any], pointer: str, *, own_keys: frozenset[str]) -> None:
        """What a field and the items of an array have in common."""
        before = len(self.problems)
        self.annotations(definition, pointer)
        field_type = definition.get("type")
        if field_type is None:
            self.problems.add("TYPE_MISSING", pointer, f"`type` is missing; it is one of {', '.join(TYPES)}.")
            return
        if not isinstance(field_type, str) or field_type not in CONSTRAINTS:
            message = f"{shown(field_type)} is no type; the types are {', '.join(TYPES)}."
            self.problems.add("TYPE_UNKNOWN", step(pointer, "type"), message)
            return
        self.keys(definition, pointer, field_type, own_keys)
        check_constraints(field_type, definition, pointer, self.problems)
        self.pattern(definition, pointer)
        self.nested(definition, pointer, field_type)
        if "default" in definition and len(self.problems) == before:
            check_default(definition, pointer, self.problems)

    def annotations(self, definition: dict[str, Any], pointer: str) -> None:
        if not isinstance(definition.get("nullable", False), bool):
            self.problems.add(
                "NULLABLE_NOT_BOOLEAN", step(pointer, "nullable"), "`nullable` is true or false."
            )
        description = definition.get("description")
        if description is None:
            return
        if not isinstance(description, str) or len(description) > MAX_DESCRIPTION_LENGTH:
            message = f"A description is a string of at most {MAX_DESCRIPTION_LENGTH} characters."
            self.problems.add("DESCRIPTION_INVALID", step(pointer, "description"), message)

    def keys(
        self, definition: dict[str, Any], pointer: str, field_type: str, own_keys: frozenset[str]
    ) -> None:
        admitted = CONSTRAINTS[field_type] | COMMON_KEYS | own_keys
        for key in definition:
            if key in admitted:
                continue
            if key in ALL_CONSTRAINTS:
                fitting = ", ".join(name for name, constraints in CONSTRAINTS.items() if key in constraints)
                message = f"`{key}` does not fit the type {field_type}; it fits {fitting}."
                self.problems.add("CONSTRAINT_DOES_NOT_FIT", step(pointer, key), message)
            else:
                message = f"{shown(key)} means nothing here; known are {', '.join(sorted(admitted))}."
                self.problems.add("KEY_UNKNOWN", step(pointer, key), message)

    def pattern(self, definition: dict[str, Any], pointer: str) -> None:
        pattern = definition.get("pattern")
        if (
            not isinstance(pattern, str)
            or pattern_problem(pattern)
            or self.pattern_bytes > MAX_PATTERNS_BYTES
        ):
            return
        self.pattern_bytes += pattern_bytes(pattern) or 0
        if self.pattern_bytes > MAX_PATTERNS_BYTES:
            self.problems.add("PATTERN_REFUSED", step(pointer, "pattern"), TOO_MANY_PATTERNS)

    def nested(self, definition: dict[str, Any], pointer: str, field_type: str) -> None:
        if field_type == "object":
            if "fields" in definition:
                self.field_list(definition["fields"], step(pointer, "fields"))
            else:
                self.problems.add("FIELDS_MISSING", pointer, "An object lists its `fields` (possibly none).")
        elif field_type == "array":
            self.items(definition, pointer)

    def items(self, definition: dict[str, Any], pointer: str) -> None:
        if "items" not in definition:
            self.problems.add("ITEMS_MISSING", pointer, "An array says what its `items` are.")
        elif not isinstance(definition["items"], dict):
            message = 'The items of an array are defined by an object such as {"type": "string"}.'
            self.problems.add("ITEMS_NOT_AN_OBJECT", step(pointer, "items"), message)
        else:
            self.definition(definition["items"], step(pointer, "items"), own_keys=frozenset())


def _is_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) <= MAX_NAME_LENGTH
        and name.isprintable()
        and name == name.strip()
    )
