"""One direction of a check, whatever the format: from findings to differences."""

from dataclasses import dataclass
from typing import Any

from schemas.compatibility.avro import avro_findings
from schemas.compatibility.avro_witness import AvroWitness
from schemas.compatibility.fields import CODES, field_message, field_pointer
from schemas.compatibility.json_schema.compare import Outcome, compare_json_schemas
from schemas.compatibility.limits import MAX_AVRO_STEPS, MAX_DIFFERENCES, MAX_WITNESSED, Budget
from schemas.compatibility.report import (
    MODES,
    POLICIES,
    CompatibilityError,
    CompatibilityLimit,
    Difference,
    Direction,
    Policy,
)
from schemas.formats import FORMATS
from schemas.formats.avro import parse_avro
from schemas.formats.field_schema import fields_to_json_schema
from schemas.formats.fields import check_fields
from schemas.formats.json_schema_compile import Resources
from schemas.formats.json_schema_size import in_place_size
from schemas.formats.json_values import check_json_value
from schemas.formats.limits import MAX_UNFOLDED
from schemas.formats.problems import FormatError, ProblemList, TooManyProblemsError


@dataclass(frozen=True, slots=True)
class Checked:
    """One side of a check: a document that is within the limits of its format."""

    format: str
    content: Any
    resources: Resources | None = None

    def __post_init__(self) -> None:
        problems = ProblemList()
        try:
            check_json_value(self.content, problems)
            if self.format == "fields" and not len(problems):
                check_fields(self.content, problems)
        except TooManyProblemsError:
            pass
        for problem in problems:
            details = {"problems": [entry.to_dict() for entry in problems]}
            if problem.code in ("DOCUMENT_TOO_LARGE", "DOCUMENT_TOO_DEEP"):
                raise CompatibilityLimit(problem.message, details=details)
            raise CompatibilityError(problem.message, code="SCHEMA_INVALID", details=details)
        if self.format == "jsonschema" and self._unfolds_beyond_measure():
            message = (
                f"References and alternatives unfold to more than {MAX_UNFOLDED} checks of a single value."
            )
            raise CompatibilityLimit(message)

    def _unfolds_beyond_measure(self) -> bool:
        return in_place_size(self.content, resources=self.resources, loops=True) > MAX_UNFOLDED


def check_input(format: str, mode: str, policy: str) -> None:  # noqa: A002
    """Raises `CompatibilityError` for a format, mode or policy that does not exist."""
    for name, value, known in (
        ("format", format, FORMATS),
        ("mode", mode, MODES),
        ("policy", policy, POLICIES),
    ):
        if value not in known:
            raise CompatibilityError(f"{value!r} is no {name}; known are {', '.join(known)}.")


def check_direction(
    old: Checked, new: Checked, *, direction: Direction, policy: Policy, version: int | None = None
) -> list[Difference]:
    """The differences in one direction, those that break it first named; raises as `check` does."""
    writer, reader = (old, new) if direction == "BACKWARD" else (new, old)
    told = _Telling(old, new, direction, version)
    if old.format == "avro":
        return _avro_differences(writer, reader, told)
    contents = writer.content, reader.content
    if old.format == "fields":
        contents = fields_to_json_schema(contents[0]), fields_to_json_schema(contents[1])
    compatible, outcomes = compare_json_schemas(
        *contents, policy=policy, writer_resources=writer.resources, reader_resources=reader.resources
    )
    return [told.outcome(outcome) for outcome in outcomes if not compatible or not outcome.finding.breaking]


@dataclass(frozen=True, slots=True)
class _Telling:
    """Turns findings, which know writer and reader, into differences, which know old and new."""

    old: Checked
    new: Checked
    direction: Direction
    version: int | None

    def outcome(self, outcome: Outcome) -> Difference:
        finding = outcome.finding
        difference = self.difference(
            finding.code, finding.message, finding.writer_pointer, finding.reader_pointer
        )
        return Difference(*difference, finding.breaking, outcome.counterexample, self.version)

    def difference(
        self, code: str, message: str, writer_pointer: str | None, reader_pointer: str | None
    ) -> tuple[str, str | None, str | None, str, Direction]:
        backward = self.direction == "BACKWARD"
        pointers = (writer_pointer, reader_pointer) if backward else (reader_pointer, writer_pointer)
        names = ("old", "new") if backward else ("new", "old")
        if self.old.format == "fields":
            code, message = CODES.get(code, code), field_message(message)
            pointers = (
                field_pointer(self.old.content, pointers[0]),
                field_pointer(self.new.content, pointers[1]),
            )
        message = message.replace("{writer}", names[0]).replace("{reader}", names[1])
        return code, *pointers, message, self.direction


def _avro_differences(writer: Checked, reader: Checked, told: _Telling) -> list[Difference]:
    if writer.content == reader.content:
        return []  # nothing is resolved where the two are one
    try:
        findings = avro_findings(
            parse_avro(writer.content), parse_avro(reader.content), Budget(MAX_AVRO_STEPS)
        )
        alone = len(findings) == 1
        witness = AvroWitness(writer.content, reader.content, alone=alone) if findings else None
    except FormatError as error:
        raise CompatibilityError(error.message, code="SCHEMA_INVALID", details=error.details) from error
    except RecursionError as error:
        raise CompatibilityLimit("The schemas nest too deep to be compared.") from error
    differences = []
    for index, finding in enumerate(findings[:MAX_DIFFERENCES]):
        shown = witness.of_finding(finding) if witness and index < MAX_WITNESSED else None
        told_finding = told.difference(
            finding.code, finding.message, finding.writer_pointer, finding.reader_pointer
        )
        differences.append(Difference(*told_finding, True, shown, told.version))
    return differences
