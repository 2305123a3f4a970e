"""Logical types (Avro 1.11, section "Logical Types"): do they stand on a type that can carry them?"""

from typing import Any, Final

from schemas.formats.avro_model import AvroType

CARRIERS: Final[dict[str, tuple[str, ...]]] = {
    "decimal": ("bytes", "fixed"),
    "uuid": ("string",),
    "date": ("int",),
    "time-millis": ("int",),
    "time-micros": ("long",),
    "timestamp-millis": ("long",),
    "timestamp-micros": ("long",),
    "local-timestamp-millis": ("long",),
    "local-timestamp-micros": ("long",),
    "duration": ("fixed",),
}


def logical_problem(parsed: AvroType, content: dict[str, Any]) -> str | None:
    """Why the `logicalType` in `content` cannot hold for `parsed`, as a sentence; None if it can.

    Unknown logical types are none of our business: readers ignore them.
    """
    logical = content["logicalType"]
    carriers = CARRIERS.get(logical)
    if carriers is None:
        return None
    if parsed.kind not in carriers:
        return f"The logical type {logical} stands on {' or '.join(carriers)}, not on {parsed.kind}."
    if logical == "duration" and parsed.size != 12:
        return "A duration is a fixed of 12 bytes."
    return _decimal_problem(content) if logical == "decimal" else None


def _decimal_problem(content: dict[str, Any]) -> str | None:
    precision, scale = content.get("precision"), content.get("scale", 0)
    if not _is_count(precision) or precision == 0:
        return "A decimal has a `precision`, a whole number from 1."
    if not _is_count(scale) or scale > precision:
        return "The `scale` of a decimal is a whole number from 0 to its precision."
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
