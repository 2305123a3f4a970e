"""Alternatives and conditions of a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from schemas.compatibility.json_schema.atoms import NUMERIC
from schemas.compatibility.json_schema.conjunction import Conjunction

if TYPE_CHECKING:
    from schemas.compatibility.json_schema.document import Atom
    from schemas.compatibility.json_schema.prover import Finding, Place, Prover


def logic_findings(prover: Prover, place: Place, part: Atom) -> Iterator[Finding]:
    """`allOf`, `$ref` and `not` have been taken apart before."""
    keywords = part.keywords
    if "anyOf" in keywords and not _same_alternatives(prover, place, part, "anyOf"):
        branches = keywords["anyOf"]
        if not _by_type(prover, place, lambda narrowed: _any_holds(prover, narrowed, branches)):
            message = "The {writer} version admits values that fit none of the alternatives of the {reader} version."
            yield place.finding("NO_ALTERNATIVE_FITS", message, part, "anyOf")
    if "oneOf" in keywords and not _same_alternatives(prover, place, part, "oneOf"):
        branches = keywords["oneOf"]
        if not _by_type(prover, place, lambda narrowed: _one_holds(prover, narrowed, branches)):
            message = (
                "The {writer} version admits values that fit none, or more than one, "
                "of the alternatives of the {reader} version."
            )
            yield place.finding("NOT_ONE_ALTERNATIVE_FITS", message, part, "oneOf")
    if "if" in keywords and not _condition_holds(prover, place, part):
        message = "The {reader} version demands more under its condition (`if`)."
        yield place.finding("CONDITION_CHANGED", message, part, "if")


def _narrowed(place: Place, writer: Conjunction) -> Place:
    return type(place)(writer, place.reader, place.trail, place.splits)


def _against(place: Place, *atoms: Atom) -> Place:
    return type(place)(place.writer, Conjunction.of(*atoms), place.trail, place.splits)


def _same_alternatives(prover: Prover, place: Place, part: Atom, keyword: str) -> bool:
    """The writer has the very same alternatives, in whatever order."""
    wanted = sorted(part.keywords[keyword], key=lambda branch: branch.text)
    for own in place.writer.parts:
        branches = sorted(own.keywords.get(keyword, ()), key=lambda branch: branch.text)
        if len(branches) == len(wanted) and all(map(prover.same, branches, wanted)):
            return True
    return False


def _by_type(prover: Prover, place: Place, holds: Callable[[Place], bool]) -> bool:
    """Whether something holds for all values at once, or else type by type."""
    if holds(place):
        return True
    names = {"number" if name in NUMERIC else name for name in place.writer.types}
    if len(names) == 1:
        return False
    for name in sorted(names):
        of_type = _narrowed(place, place.writer.of_type(name))
        if not prover.is_empty(of_type.writer, place.trail) and not holds(of_type):
            return False
    return True


def _any_holds(prover: Prover, place: Place, branches: list[Atom]) -> bool:
    if any(prover.holds_already(place.writer, branch) for branch in branches):
        return True
    return any(prover.proves(_against(place, branch)) for branch in branches)


def _one_holds(prover: Prover, place: Place, branches: list[Atom]) -> bool:
    possible: list[Atom] = []
    for branch in branches:
        if not prover.is_empty(place.writer.plus(branch), place.trail):
            possible.append(branch)
            if len(possible) > 1:
                return False
    return len(possible) == 1 and prover.proves(_against(place, possible[0]))


def _condition_holds(prover: Prover, place: Place, part: Atom) -> bool:
    condition, then, otherwise = (part.keywords[key] for key in ("if", "then", "else"))
    for own in place.writer.parts:
        if "if" in own.keywords and all(
            prover.same(own.keywords[k], part.keywords[k]) for k in ("if", "then", "else")
        ):
            return True
    if prover.proves(_against(place, then)) and prover.proves(_against(place, otherwise)):
        return True
    met = _narrowed(place, place.writer.plus(condition))
    unmet = _narrowed(place, place.writer.minus(condition))
    return (prover.is_empty(met.writer, place.trail) or prover.proves(_against(met, then))) and (
        prover.is_empty(unmet.writer, place.trail) or prover.proves(_against(unmet, otherwise))
    )
