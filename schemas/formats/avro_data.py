"""Validating JSON documents against an Avro schema.

A document is in the JSON encoding of the Avro specification (1.11, section "JSON Encoding": bytes
and fixed are strings of the code points 0-255, a value of a union is `{"branch": value}`) or in
the plain form that people write, where a value of a union stands by itself. A field that has a
default may be left out.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import fastavro
from fastavro.validation import validate

from schemas.formats.avro import parse_avro
from schemas.formats.avro_default import admits_scalar
from schemas.formats.avro_model import AvroType
from schemas.formats.data_work import Allowance, Parts, Steps, size_of, too_much
from schemas.formats.problems import FormatError, Problem, ProblemList, TooManyProblemsError, shown, step

PYTHON_STEP: Final = 100
"""What is looked at by Python takes about this many times as long as what is compiled."""


class AvroValidator:
    """A `Validator` (see `schemas.formats.validator`) for a sound Avro schema."""

    def __init__(self, content: Any) -> None:
        """Raises `FormatError` (`SCHEMA_INVALID`) if `content` is no Avro schema."""
        self._type = parse_avro(content)
        try:
            self._compiled = fastavro.parse_schema(content, expand=False)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FormatError("SCHEMA_INVALID", f"The schema cannot be compiled: {error}") from error
        self._steps = Steps(self._type, id, _parts)
        self._quick_length = self._steps.quick_length()

    def is_valid(self, document: Any, *, length: int | None = None) -> bool:
        if length is None or length > self._quick_length:
            return not self.problems(document)
        return self._is_plainly_valid(document) or not self._problems(document)

    def problems(self, document: Any, allowance: Allowance | None = None) -> list[Problem]:
        allowance, size = allowance or Allowance(), size_of(document)
        if not allowance.takes_checking(self._steps.at(size.depth) * size.values):
            return [too_much(size)]
        return self._problems(document)

    def _problems(self, document: Any) -> list[Problem]:
        if self._is_plainly_valid(document):
            return []
        problems = ProblemList()
        try:
            _check(self._type, document, "", problems)
        except TooManyProblemsError:
            pass
        except RecursionError:
            return [Problem("DOCUMENT_NOT_CHECKABLE", "", "The document is nested too deep to be checked.")]
        return problems.as_list()

    def _is_plainly_valid(self, document: Any) -> bool:
        """Whether the compiled check of `fastavro` passes: it tells nothing of bytes and tagged unions."""
        try:
            return validate(document, self._compiled, raise_errors=False, strict=True)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return False


def _parts(avro_type: AvroType) -> Parts[AvroType]:
    """A union's value is tried with all of its branches; a record's field is looked at once."""
    if avro_type.kind == "union":
        return Parts(PYTHON_STEP, [[branch] for branch in avro_type.branches], [])
    if avro_type.kind in ("array", "map"):
        return Parts(PYTHON_STEP, [], [[avro_type.element]])
    return Parts(PYTHON_STEP, [], [[entry.type] for entry in avro_type.fields])


def _check(avro_type: AvroType, value: Any, pointer: str, problems: ProblemList) -> None:
    if avro_type.kind == "union":
        _check_union(avro_type, value, pointer, problems)
    elif avro_type.kind == "record" and isinstance(value, dict):
        _check_record(avro_type, value, pointer, problems)
    elif avro_type.kind == "array" and isinstance(value, list):
        for index, entry in enumerate(value):
            _check(avro_type.element, entry, step(pointer, index), problems)
    elif avro_type.kind == "map" and isinstance(value, dict):
        for key, entry in value.items():
            _check(avro_type.element, entry, step(pointer, key), problems)
    elif not admits_scalar(avro_type, value):
        problems.add("TYPE_WRONG", pointer, f"{shown(value)} is no {avro_type.title}.")


def _check_record(record: AvroType, value: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    names = set()
    for field in record.fields:
        names.add(field.name)
        if field.name in value:
            _check(field.type, value[field.name], step(pointer, field.name), problems)
        elif not field.has_default:
            problems.add("PROPERTY_MISSING", pointer, f"The field {field.name} of {record.title} is missing.")
    for key in value:
        if key not in names:
            problems.add(
                "PROPERTY_NOT_ALLOWED", step(pointer, key), f"{record.title} has no field {shown(key)}."
            )


def _check_union(union: AvroType, value: Any, pointer: str, problems: ProblemList) -> None:
    candidates = [branch for branch in union.branches if _FITS[branch.kind](branch, value)]
    attempts = [(branch, value, pointer) for branch in candidates]
    if isinstance(value, dict) and len(value) == 1:
        tag, tagged = next(iter(value.items()))
        attempts[:0] = [
            (branch, tagged, step(pointer, tag))
            for branch in union.branches
            if tag in (branch.name, branch.kind)
        ]
    failures: list[ProblemList] = []
    for branch, entry, below in attempts:
        found = ProblemList()
        with suppress(TooManyProblemsError):
            _check(branch, entry, below, found)
        if not len(found):
            return
        failures.append(found)
    if len(failures) == 1:
        for problem in failures[0]:
            problems.add(problem.code, problem.pointer, problem.message)
        return
    titles = ", ".join(branch.title for branch in union.branches)
    problems.add("TYPE_WRONG", pointer, f"{shown(value)} is none of {titles}.")


def _is_object(_: AvroType, value: Any) -> bool:
    return isinstance(value, dict)


def _is_array(_: AvroType, value: Any) -> bool:
    return isinstance(value, list)


_FITS: Final[dict[str, Callable[[AvroType, Any], bool]]] = {
    **dict.fromkeys(
        ("null", "boolean", "int", "long", "float", "double", "bytes", "string", "enum", "fixed"),
        admits_scalar,
    ),
    "array": _is_array,
    "map": _is_object,
    "record": _is_object,
}
