"""Validating data against a schema: compiled once, every problem with its pointer.

`fields` and `jsonschema` run on `jsonschema_rs` (patterns in linear time, no reference ever fetched
over a network or from a file), `avro` on `fastavro`.
"""

from collections.abc import Callable
from functools import cached_property, partial
from itertools import islice
from typing import Any, Final, Protocol

import jsonschema_rs

from schemas.formats.avro_data import AvroValidator
from schemas.formats.data_work import (
    CHECKED_WORK,
    EXPLAINED_WORK,
    MORE_NOT_TOLD,
    NOT_EXPLAINED,
    Allowance,
    Size,
    Steps,
    size_of,
    too_much,
)
from schemas.formats.field_schema import fields_to_json_schema
from schemas.formats.json_schema_compile import Resources, compiled_json_schema
from schemas.formats.json_schema_size import has_alternatives, json_schema_steps
from schemas.formats.limits import MAX_PROBLEMS
from schemas.formats.problems import Problem, step

KEYWORD_CODES: Final = {
    "additionalProperties": "PROPERTY_NOT_ALLOWED",
    "required": "PROPERTY_MISSING",
    "type": "TYPE_WRONG",
    "enum": "VALUE_NOT_LISTED",
    "format": "FORMAT_WRONG",
    "pattern": "PATTERN_NOT_MATCHED",
}


class Validator(Protocol):
    """Checks documents against the one schema it was made for. Safe to share between threads.

    A document is what `json.loads` gives, so it nests less than `sys.getrecursionlimit()` deep:
    the compiled validators recurse natively, and must not be handed anything deeper. What would take
    too long to check is refused unseen: see `data_work`.
    """

    def is_valid(self, document: Any, *, length: int | None = None) -> bool:
        """Whether the schema admits `document`, a parsed JSON value; `length` of its text, where it is known."""

    def problems(self, document: Any, allowance: Allowance | None = None) -> list[Problem]:
        """Why the schema does not admit `document`: at most 100 problems; [] if it does. Never raises.

        Many documents that are checked in one call share an `allowance`.
        """


def validator_for(format: str, content: Any, *, resources: Resources | None = None) -> Validator:  # noqa: A002
    """The validator of a sound schema document (one that `check_document` has nothing against).

    `resources` are the schemas that its `datafold:NAME/VERSION` references name.
    Raises `FormatError` (`SCHEMA_INVALID`) if the schema cannot be compiled.
    """
    if format == "avro":
        return AvroValidator(content)
    return JsonSchemaValidator(fields_to_json_schema(content) if format == "fields" else content, resources)


class JsonSchemaValidator:
    """A `Validator` on a compiled JSON Schema."""

    def __init__(
        self,
        schema: Any,
        resources: Resources | None = None,
        *,
        steps: Callable[[], Steps[Any]] | None = None,
    ) -> None:
        """`steps` gives those of the schema where they are counted elsewhere, too.

        Raises `FormatError` as `compiled_json_schema` does.
        """
        self._count = steps or partial(json_schema_steps, schema, resources, explained=False)
        self._schema = schema
        self._resources = resources
        self._compiled = compiled_json_schema(schema, resources)

    @cached_property
    def _steps(self) -> Steps[Any]:
        return self._count()

    @cached_property
    def _quick_length(self) -> int:
        return self._steps.quick_length()

    @cached_property
    def _problems(self) -> Steps[Any]:
        return json_schema_steps(self._schema, self._resources, explained=True)

    @cached_property
    def _has_alternatives(self) -> bool:
        return has_alternatives(self._schema, self._resources)

    def is_valid(self, document: Any, *, length: int | None = None) -> bool:
        if (length is None or length > self._quick_length) and self._work(size_of(document)) > CHECKED_WORK:
            return False
        try:
            return self._compiled.is_valid(document)
        except ValueError:
            return False

    def work(self, document: Any) -> float:
        """Steps of about 10 ns that checking `document` takes at most."""
        return self._work(size_of(document))

    def problems(self, document: Any, allowance: Allowance | None = None) -> list[Problem]:
        allowance, size = allowance or Allowance(), size_of(document)
        if not allowance.takes_checking(self._work(size)):
            return [too_much(size)]
        try:
            return [] if self._compiled.is_valid(document) else self._explained(document, size, allowance)
        except (ValueError, TypeError) as error:
            message = f"The document cannot be checked: {error}".partition("\n")[0][:300]
            return [Problem("DOCUMENT_NOT_CHECKABLE", "", message)]

    def errors(self, document: Any) -> list[jsonschema_rs.ValidationError]:
        """The compiled validator's own errors, at most 100; one, or none, where all would be too many to hold.

        Raises `ValueError` for what is no JSON.
        """
        return self._errors(document, all_of_them=self._copies(size_of(document)) <= EXPLAINED_WORK)

    def _explained(self, document: Any, size: Size, allowance: Allowance) -> list[Problem]:
        all_of_them = allowance.takes_explaining(self._copies(size))
        problems = [_problem(error) for error in self._errors(document, all_of_them=all_of_them)]
        if all_of_them:
            return problems
        return [*problems, MORE_NOT_TOLD] if problems else [NOT_EXPLAINED]

    def _errors(self, document: Any, *, all_of_them: bool) -> list[jsonschema_rs.ValidationError]:
        if all_of_them:
            return list(islice(self._compiled.iter_errors(document), MAX_PROBLEMS))
        if not self._has_alternatives:
            try:
                self._compiled.validate(document)
            except jsonschema_rs.ValidationError as error:
                return [error]
        return []

    def _work(self, size: Size) -> float:
        return self._steps.at(size.depth) * (size.values + size.characters)

    def _copies(self, size: Size) -> float:
        """Each value is copied for the problems of all values around it, as many as lie on the way to it."""
        return self._problems.at(size.depth) * size.values


def _problem(error: jsonschema_rs.ValidationError) -> Problem:
    code = KEYWORD_CODES.get(error.kind.name, "VALUE_NOT_ALLOWED")
    return Problem(code, step("", *error.instance_path), error.message[:500])
