"""Turning a finding into a counterexample: a whole document, checked against both schemas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from schemas.compatibility.json_schema.conjunction import Conjunction
from schemas.compatibility.json_schema.document import having
from schemas.compatibility.json_schema.prover import Finding, Place, Step
from schemas.compatibility.json_schema.samples import MAX_COUNT, Sampler
from schemas.compatibility.limits import MAX_CANDIDATES, Budget
from schemas.compatibility.report import CompatibilityLimit, Counterexample
from schemas.formats.problems import shown
from schemas.formats.validator import JsonSchemaValidator

DEPENDENT: Final = frozenset({"dependentRequired", "dependentSchemas"})
MAX_TRIED: Final = 60
"""Values put into whole documents for one finding."""
SPEAKS_OF: Final[dict[str, type]] = {
    **dict.fromkeys(("minLength", "maxLength", "pattern", "format"), str),
    **dict.fromkeys(("minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"), list),
    **dict.fromkeys(
        ("required", "dependentRequired", "minProperties", "maxProperties", "propertyNames"), dict
    ),
}
"""The one type of value that a keyword can refuse, where there is one."""
COMPOSITE: Final = frozenset(
    {
        *("anyOf", "oneOf", "not", "contains", "propertyNames"),
        *("unevaluatedItems", "unevaluatedProperties", "falseSchema"),
    }
)
"""What refuses a value because of something inside it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A counterexample, and whether the reader refuses it for the very finding (`exact`) or for another."""

    counterexample: Counterexample
    exact: bool


def is_about(error: jsonschema_rs.ValidationError, finding: Finding) -> bool:
    """Whether the reader's `error` says what `finding` says."""
    here = tuple(error.instance_path)
    there = tuple(step for _, step in finding.trail)
    kind = error.kind.name
    if here == there:
        if kind == "required" and finding.keyword == "required":
            return shown(error.kind.as_dict()["property"]) in finding.message
        return finding.keyword in (None, kind) or kind in COMPOSITE
    if here == there[: len(here)]:
        refused_by_name = kind == finding.keyword == "additionalProperties" and len(here) == len(there) - 1
        return kind in COMPOSITE or refused_by_name
    return finding.keyword is None and here[: len(there)] == there


class WitnessSearch:
    """Searches documents that one validator admits and the other refuses."""

    def __init__(
        self, writer: JsonSchemaValidator, reader: JsonSchemaValidator, budget: Budget, work: Budget
    ) -> None:
        """`budget` is for making values up, `work` for the steps of 10 ns that the validators take."""
        self.writer = writer
        self.reader = reader
        self.work = work
        self.sampler = Sampler(budget)
        self._bases: dict[object, dict[str, Any] | None] = {}

    def of_finding(self, finding: Finding) -> Shown | None:
        """A counterexample for `finding`; None if none is found within the limits."""
        try:
            return self._of_finding(finding)
        except CompatibilityLimit:
            return None

    def _of_finding(self, finding: Finding) -> Shown | None:
        suspicious = [
            value
            for value in islice(self._values_of(finding), MAX_CANDIDATES)
            if finding.writer.admits(value) is not False and finding.reader.admits(value) is not True
        ]
        # What is of another type is refused for that, which would be told of another finding.
        suspicious.sort(key=lambda value: not isinstance(value, SPEAKS_OF.get(finding.keyword or "", object)))
        stray = None
        for value in suspicious[:MAX_TRIED]:
            for document in self._wrapped(finding, value):
                if witness := self.checked(document):
                    if (reason := self._reason(document, finding)) is not None:
                        return Shown(Counterexample(document, reason), exact=True)
                    stray = stray or Shown(witness, exact=False)
        return stray

    def _reason(self, document: Any, finding: Finding) -> str | None:
        """What the reader has against `document` that is this finding and not another one."""
        errors = self.reader.errors(document)
        return next((error.message[:500] for error in errors if is_about(error, finding)), None)

    def anywhere(self, place: Place) -> Counterexample | None:
        """A counterexample from samples of the whole document."""
        try:
            for document in islice(self.sampler.values(place.writer, place.reader), MAX_CANDIDATES):
                if witness := self.checked(document):
                    return witness
        except CompatibilityLimit:
            pass
        return None

    def checked(self, document: Any) -> Counterexample | None:
        """`document` as a counterexample, if it is one. Raises `CompatibilityLimit`."""
        self.work.spend(self.writer.work(document) + self.reader.work(document))
        if not self.writer.is_valid(document) or self.reader.is_valid(document):
            return None
        problems = self.reader.problems(document)
        return Counterexample(document, problems[0].message if problems else "The document is refused.")

    def _values_of(self, finding: Finding) -> Iterator[Any]:
        yield from finding.values
        yield from self.sampler.values(finding.writer, finding.reader)

    def _wrapped(self, finding: Finding, value: Any) -> Iterator[Any]:
        """Whole documents that hold `value` where the trail leads."""
        document: Any = value
        for writer, step in reversed(finding.trail):
            document = self._around(writer, step, document)
            if document is None:
                return
        yield document

    def _around(self, writer: Conjunction, step: Step, value: Any) -> Any:
        if isinstance(step, str):
            base = self._object_with(writer, step)
            return None if base is None else base | {step: value}
        return self._array_with(writer, step, value)

    def _object_with(self, writer: Conjunction, name: str) -> dict[str, Any] | None:
        """The least object of the writer; what `name` brings along is added if the writer says so."""
        if any(not DEPENDENT.isdisjoint(part.keywords) for part in writer.parts):
            made = self.sampler.least_object(writer.plus(having(name)))
            if made is not None:
                return made
        key = (writer.key, name if name in writer.required else None)
        if key not in self._bases:
            self._bases[key] = self.sampler.least_object(writer, skip=name)
        return self._bases[key]

    def _array_with(self, writer: Conjunction, index: int, value: Any) -> list[Any] | None:
        items: list[Any] = []
        for position in range(max(index + 1, min(writer.min_items, MAX_COUNT))):
            if position == index:
                items.append(value)
                continue
            item = writer.item(position)
            values = self.sampler.valid(item, item, 20 if writer.unique else 1, 1)
            fitting = [v for v in values if not writer.unique or (v not in items and v != value)]
            if not fitting:
                return None
            items.append(fitting[0])
        return items
