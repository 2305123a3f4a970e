"""One direction of a check of two JSON Schemas: what the writer admits, does the reader?"""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from schemas.compatibility.json_schema.conjunction import Conjunction
from schemas.compatibility.json_schema.document import Document
from schemas.compatibility.json_schema.fallback import surely_contains
from schemas.compatibility.json_schema.prover import Finding, Place, Prover
from schemas.compatibility.json_schema.witness import Shown, WitnessSearch
from schemas.compatibility.limits import MAX_DIFFERENCES, MAX_NATIVE_WORK, MAX_SAMPLES, MAX_WITNESSED, Budget
from schemas.compatibility.report import CompatibilityError, CompatibilityLimit, Counterexample, Policy
from schemas.formats.json_schema_compile import Resources
from schemas.formats.problems import FormatError
from schemas.formats.validator import JsonSchemaValidator


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finding and the counterexample that shows it, if there is one."""

    finding: Finding
    counterexample: Counterexample | None


def compare_json_schemas(
    writer: Any,
    reader: Any,
    *,
    policy: Policy = "exact",
    writer_resources: Resources | None = None,
    reader_resources: Resources | None = None,
) -> tuple[bool, list[Outcome]]:
    """(whether everything the writer admits is admitted by the reader, what differs).

    Raises `CompatibilityLimit` if that cannot be told in bounded time and `CompatibilityError` if a
    schema cannot be compiled.
    """
    budget, search_budget = Budget(), Budget(MAX_SAMPLES)
    work, search_work = Budget(MAX_NATIVE_WORK), Budget(MAX_NATIVE_WORK)
    documents = Document(writer, writer_resources, work=work), Document(reader, reader_resources, work=work)
    validators = _compiled(documents[0]), _compiled(documents[1])
    search = WitnessSearch(*validators, search_budget, search_work)
    prover = Prover(policy=policy, budget=budget)
    roots = [Conjunction.of(document.atom(document.root, "")) for document in documents]
    place = Place(roots[0], roots[1])
    try:
        found = list(islice(prover.findings(place), 4 * MAX_DIFFERENCES))
        for document in documents:
            document.native.work = search_work
        outcomes = _witnessed(_distinct(found), search)
        breaking = [outcome for outcome in outcomes if outcome.finding.breaking]
        if not any(finding.breaking for finding in found):
            return True, outcomes
        if any(outcome.counterexample for outcome in breaking):
            return False, outcomes
        if surely_contains(documents[1], documents[0]):
            return True, [outcome for outcome in outcomes if not outcome.finding.breaking]
        if policy == "exact" and (witness := search.anywhere(place)) is not None:
            return False, _with_witness(outcomes, place, witness)
    except RecursionError as error:
        raise CompatibilityLimit("The schemas nest too deep to be compared.") from error
    return False, outcomes or [Outcome(_unexplained(place), None)]


def _compiled(document: Document) -> JsonSchemaValidator:
    try:
        return JsonSchemaValidator(document.root, document.resources, steps=lambda: document.native.steps)
    except FormatError as error:
        raise CompatibilityError(error.message, code=error.code) from error


def _distinct(found: list[Finding]) -> list[Finding]:
    distinct = {
        (finding.code, finding.writer_pointer, finding.reader_pointer, finding.message): finding
        for finding in reversed(found)
        if not finding.repeated
    }
    return list(reversed(distinct.values()))[:MAX_DIFFERENCES]


def _witnessed(findings: list[Finding], search: WitnessSearch) -> list[Outcome]:
    """Each finding with the counterexample that shows it.

    One that is refused for another reason is kept only where the verdict would have none without it.
    """
    found: list[Shown | None] = []
    searched = 0
    for finding in findings:
        wanted = finding.breaking and searched < MAX_WITNESSED
        searched += wanted
        found.append(search.of_finding(finding) if wanted else None)
    strays_are_kept = not any(shown.exact for shown in found if shown)
    return [
        Outcome(finding, shown.counterexample if shown and (shown.exact or strays_are_kept) else None)
        for finding, shown in zip(findings, found, strict=True)
    ]


def _with_witness(outcomes: list[Outcome], place: Place, witness: Counterexample) -> list[Outcome]:
    """`witness` shown at the first breaking difference: it is what the search was started for."""
    for index, outcome in enumerate(outcomes):
        if outcome.finding.breaking:
            return [*outcomes[:index], Outcome(outcome.finding, witness), *outcomes[index + 1 :]]
    return [Outcome(_unexplained(place), witness)]


def _unexplained(place: Place) -> Finding:
    message = "The {reader} version may refuse documents that the {writer} version admits."
    return Finding("NOT_COMPARABLE", message, place.writer, place.reader, "", "", ())
