"""Validating data against a schema: compiled once, every problem with its pointer.

`fields` and `jsonschema` run on `jsonschema_rs` (patterns in linear time, no reference ever fetched
over a network or from a file), `avro` on `fastavro`.
"""

from itertools import islice
from typing import Any, Final, Protocol

import jsonschema_rs

from schemas.formats.avro_data import AvroValidator
from schemas.formats.data_depth import MAX_LEVELS, nests_deeper, too_deep
from schemas.formats.field_schema import fields_to_json_schema
from schemas.formats.json_schema_compile import Resources, compiled_json_schema
from schemas.formats.json_schema_size import json_schema_depth
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
    the compiled validators recurse natively, and must not be handed anything deeper.
    """

    def is_valid(self, document: Any) -> bool:
        """Whether the schema admits `document`, a parsed JSON value."""

    def problems(self, document: Any) -> list[Problem]:
        """Why the schema does not admit `document`: at most 100 problems; [] if it does. Never raises."""


def validator_for(format: str, content: Any, *, resources: Resources | None = None) -> Validator:  # noqa: A002
    """The validator of a sound schema document (one that `check_document` has nothing against).

    `resources` are the schemas that its `datafold:NAME/VERSION` references name.
    Raises `FormatError` (`SCHEMA_INVALID`) if the schema cannot be compiled.
    """
    if format == "avro":
        return AvroValidator(content)
    schema = fields_to_json_schema(content) if format == "fields" else content
    compiled = compiled_json_schema(schema, resources)
    return JsonSchemaValidator(
        compiled,
        max_depth=json_schema_depth(schema, resources, explained=False),
        max_explained=json_schema_depth(schema, resources, explained=True),
    )


class JsonSchemaValidator:
    """A `Validator` on a compiled JSON Schema.

    Documents that nest deeper than `max_depth` are refused unseen, and of refused ones deeper than
    `max_explained` it is not told why. From `MAX_LEVELS` on nothing is measured.
    """

    def __init__(
        self,
        compiled: jsonschema_rs.Validator,
        *,
        max_depth: int = MAX_LEVELS,
        max_explained: int = MAX_LEVELS,
    ) -> None:
        self._compiled = compiled
        self._max_depth = max_depth
        self._max_explained = max_explained

    def is_valid(self, document: Any) -> bool:
        if self._max_depth < MAX_LEVELS and nests_deeper(document, self._max_depth):
            return False
        try:
            return self._compiled.is_valid(document)
        except ValueError:
            return False

    def problems(self, document: Any) -> list[Problem]:
        if self._max_depth < MAX_LEVELS and nests_deeper(document, self._max_depth):
            return [too_deep(self._max_depth)]
        try:
            if self._compiled.is_valid(document):
                return []
            if self._max_explained < MAX_LEVELS and nests_deeper(document, self._max_explained):
                return [too_deep(self._max_explained, refused=True)]
            return [_problem(error) for error in self.errors(document)]
        except (ValueError, TypeError) as error:
            message = f"The document cannot be checked: {error}".partition("\n")[0][:300]
            return [Problem("DOCUMENT_NOT_CHECKABLE", "", message)]

    def errors(self, document: Any) -> list[jsonschema_rs.ValidationError]:
        """The compiled validator's own errors, at most 100. Raises `ValueError` for what is no JSON."""
        return list(islice(self._compiled.iter_errors(document), MAX_PROBLEMS))


def _problem(error: jsonschema_rs.ValidationError) -> Problem:
    code = KEYWORD_CODES.get(error.kind.name, "VALUE_NOT_ALLOWED")
    return Problem(code, step("", *error.instance_path), error.message[:500])
