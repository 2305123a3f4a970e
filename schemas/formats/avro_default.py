"""Defaults of Avro fields, in the JSON encoding that the specification gives for defaults.

A default of a union is one of its first branch; bytes and fixed are strings of the code points
0-255. (Avro 1.11, section "Complex Types", table of field default values.)
"""

from collections.abc import Callable
from typing import Any, Final

from schemas.formats.avro_model import AvroType
from schemas.formats.problems import shown


def default_problem(avro_type: AvroType, default: Any) -> str | None:
    """Why `default` is none of `avro_type`, as a sentence; None if it is one.

    Recursion follows the default, whose depth `check_document` has bounded.
    """
    if avro_type.kind == "union":
        if not avro_type.branches:
            return "A union without branches has no default."
        reason = default_problem(avro_type.branches[0], default)
        return f"The default of a union belongs to its first branch: {reason}" if reason else None
    if not _ADMITS[avro_type.kind](avro_type, default):
        return f"The default {shown(default)} is no {avro_type.title}."
    if avro_type.kind == "array":
        return next(filter(None, (default_problem(avro_type.element, entry) for entry in default)), None)
    if avro_type.kind == "map":
        return next(filter(None, (default_problem(avro_type.element, v) for v in default.values())), None)
    return _record_problem(avro_type, default) if avro_type.kind == "record" else None


def _record_problem(record: AvroType, default: dict[str, Any]) -> str | None:
    for field in record.fields:
        if field.name in default:
            if reason := default_problem(field.type, default[field.name]):
                return reason
        elif not field.has_default:
            return f"The default lacks the field {field.name} of {record.title}."
    return None


def _is_integer(bits: int) -> Callable[[AvroType, Any], bool]:
    limit = 2 ** (bits - 1)
    return lambda _, value: isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit


def _is_number(_: AvroType, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_bytes(_: AvroType, value: Any) -> bool:
    return isinstance(value, str) and all(ord(character) < 256 for character in value)


def _is_fixed(fixed: AvroType, value: Any) -> bool:
    return _is_bytes(fixed, value) and len(value) == fixed.size


_ADMITS: Final[dict[str, Callable[[AvroType, Any], bool]]] = {
    "null": lambda _, value: value is None,
    "boolean": lambda _, value: isinstance(value, bool),
    "int": _is_integer(32),
    "long": _is_integer(64),
    "float": _is_number,
    "double": _is_number,
    "bytes": _is_bytes,
    "string": lambda _, value: isinstance(value, str),
    "enum": lambda enum, value: isinstance(value, str) and value in enum.symbols,
    "fixed": _is_fixed,
    "array": lambda _, value: isinstance(value, list),
    "map": lambda _, value: isinstance(value, dict),
    "record": lambda _, value: isinstance(value, dict),
}


def admits_scalar(avro_type: AvroType, value: Any) -> bool:
    """Whether `value` has the JSON form of `avro_type`; of a collection only its own shape counts."""
    return _ADMITS[avro_type.kind](avro_type, value)
