"""The constraints of the `fields` format: does each value make sense, and do they agree?"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from schemas.formats.limits import MAX_ENUM_VALUES, MAX_PRECISION
from schemas.formats.patterns import pattern_problem
from schemas.formats.problems import ProblemList, shown, step

STRING_FORMATS: Final = ("email", "hostname", "ipv4", "ipv6", "uri", "time", "duration")


def check_constraints(
    field_type: str, definition: dict[str, Any], pointer: str, problems: ProblemList
) -> None:
    """Adds the problems of the constraints of one definition, nested definitions aside."""
    check = _CHECKS.get(field_type)
    if check is not None:
        check(definition, pointer, problems)


def _check_string(definition: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    _check_counts("min_length", "max_length", definition, pointer, problems)
    pattern = definition.get("pattern")
    if "pattern" in definition:
        reason = pattern_problem(pattern) if isinstance(pattern, str) else "A pattern is a string."
        if reason is not None:
            problems.add("PATTERN_REFUSED", step(pointer, "pattern"), reason)
    if "format" in definition and definition["format"] not in STRING_FORMATS:
        message = (
            f"{shown(definition['format'])} is no format of a string; known are {', '.join(STRING_FORMATS)}."
        )
        problems.add("FORMAT_UNKNOWN", step(pointer, "format"), message)


def _check_counts(
    low_key: str, high_key: str, definition: dict[str, Any], pointer: str, problems: ProblemList
) -> None:
    sound = True
    for key in (low_key, high_key):
        if key in definition and not (_is_integer(definition[key]) and definition[key] >= 0):
            problems.add("CONSTRAINT_INVALID", step(pointer, key), f"`{key}` is a whole number from 0.")
            sound = False
    if sound and definition.get(low_key, 0) > definition.get(high_key, definition.get(low_key, 0)):
        message = f"`{low_key}` is greater than `{high_key}`: no value could ever fit."
        problems.add("CONSTRAINTS_CONTRADICT", step(pointer, low_key), message)


def _check_numeric(definition: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    sound = True
    for key in ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum", "multiple_of"):
        if key in definition and not _is_number(definition[key]):
            problems.add("CONSTRAINT_INVALID", step(pointer, key), f"`{key}` is a number.")
            sound = False
    if not sound:
        return
    if definition.get("multiple_of", 1) <= 0:
        problems.add("CONSTRAINT_INVALID", step(pointer, "multiple_of"), "`multiple_of` is greater than 0.")
    for low_key in ("minimum", "exclusive_minimum"):
        for high_key in ("maximum", "exclusive_maximum"):
            if low_key in definition and high_key in definition:
                _check_range(low_key, high_key, definition, pointer, problems)


def _check_range(
    low_key: str, high_key: str, definition: dict[str, Any], pointer: str, problems: ProblemList
) -> None:
    low, high = definition[low_key], definition[high_key]
    exclusive = low_key != "minimum" or high_key != "maximum"
    if low > high or (exclusive and low == high):
        message = f"No number fits `{low_key}` {shown(low)} and `{high_key}` {shown(high)}."
        problems.add("CONSTRAINTS_CONTRADICT", step(pointer, low_key), message)


def _check_decimal(definition: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    _check_numeric(definition, pointer, problems)
    precision, scale = definition.get("precision"), definition.get("scale")
    if "precision" in definition and not (
        _is_integer(precision) and 1 <= definition["precision"] <= MAX_PRECISION
    ):
        message = f"`precision` is a whole number from 1 to {MAX_PRECISION}."
        problems.add("CONSTRAINT_INVALID", step(pointer, "precision"), message)
        return
    if "scale" not in definition:
        return
    if not (_is_integer(scale) and 0 <= definition["scale"] <= MAX_PRECISION):
        message = f"`scale` is a whole number from 0 to {MAX_PRECISION}."
        problems.add("CONSTRAINT_INVALID", step(pointer, "scale"), message)
    elif precision is None:
        problems.add("CONSTRAINT_INVALID", step(pointer, "scale"), "`scale` needs a `precision` beside it.")
    elif definition["scale"] > definition["precision"]:
        message = "`scale` is greater than `precision`: there are no digits left for it."
        problems.add("CONSTRAINTS_CONTRADICT", step(pointer, "scale"), message)


def _check_enum(definition: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    values = definition.get("values")
    here = step(pointer, "values")
    if "values" not in definition:
        problems.add("VALUES_MISSING", pointer, "An enum lists its `values`.")
    elif not isinstance(values, list) or not values:
        problems.add("CONSTRAINT_INVALID", here, "`values` is a list of at least one string or integer.")
    elif len(values) > MAX_ENUM_VALUES:
        problems.add("TOO_MANY_ENUM_VALUES", here, f"An enum has at most {MAX_ENUM_VALUES} values.")
    else:
        _check_enum_values(values, here, problems)


def _check_enum_values(values: list[Any], pointer: str, problems: ProblemList) -> None:
    seen: set[str | int] = set()
    for index, value in enumerate(values):
        if not isinstance(value, str) and not _is_integer(value):
            message = f"A value of an enum is a string or an integer, not {shown(value)}."
            problems.add("CONSTRAINT_INVALID", step(pointer, index), message)
        elif value in seen:
            problems.add("ENUM_VALUE_DUPLICATE", step(pointer, index), f"{shown(value)} is listed twice.")
        else:
            seen.add(value)


def _check_array(definition: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    _check_counts("min_items", "max_items", definition, pointer, problems)
    _check_flag("unique_items", definition, pointer, problems)


def _check_object(definition: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    _check_flag("additional", definition, pointer, problems)


def _check_flag(key: str, definition: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    if not isinstance(definition.get(key, False), bool):
        problems.add("CONSTRAINT_INVALID", step(pointer, key), f"`{key}` is true or false.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


_CHECKS: Final[dict[str, Callable[[dict[str, Any], str, ProblemList], None]]] = {
    "string": _check_string,
    "integer": _check_numeric,
    "number": _check_numeric,
    "decimal": _check_decimal,
    "enum": _check_enum,
    "array": _check_array,
    "object": _check_object,
}
