"""Does a reader admit everything that a writer does? A proof, or the places where it fails.

`Prover.findings(writer, reader)` gives nothing if every value admitted by the writer is proven to be
admitted by the reader. It is sound: a rule that cannot decide gives a finding. A finding is
therefore a suspicion; `witness` turns it into a counterexample, or `fallback` dismisses it.

The reader is taken apart into single assertions, each of which must hold for all of the writer's
values; the writer is kept together, since all of its assertions help. Where alternatives of the
writer matter they are taken one by one.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.compatibility.json_schema import rules
from schemas.compatibility.json_schema.atoms import NUMERIC
from schemas.compatibility.json_schema.conjunction import Conjunction
from schemas.compatibility.json_schema.document import Atom
from schemas.compatibility.limits import MAX_NESTING, Budget
from schemas.compatibility.report import CompatibilityLimit, Policy

Step = str | int
Trail = tuple[tuple[Conjunction, Step], ...]

MAX_SPLITS: Final = 4
MAX_EMPTY_SPLITS: Final = 2
NO_ASSUMPTION: Final = 1_000_000
SAME_PER_STEP: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where the reader may refuse what the writer admits.

    `trail` leads from the whole document to the value in question: the writer's conjunction at each
    level and the property or index taken there. `writer` and `reader` are what holds for that value,
    `values` are values of it that are worth trying, `keyword` is the reader's that refuses them, where it
    is one. `breaking` is False for what the policy ignores.
    """

    code: str
    message: str
    writer: Conjunction
    reader: Conjunction
    writer_pointer: str | None
    reader_pointer: str | None
    trail: Trail
    values: tuple[Any, ...] = field(default=())
    breaking: bool = True
    repeated: bool = False
    keyword: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the documents a comparison stands."""

    writer: Conjunction
    reader: Conjunction
    trail: Trail = ()
    splits: int = 0

    def below(self, step: Step, writer: Conjunction, reader: Conjunction) -> "Place":
        return Place(writer, reader, (*self.trail, (self.writer, step)))

    def repeated(self) -> Finding:
        return Finding("REPEATED", "", self.writer, self.reader, None, None, self.trail, repeated=True)

    def finding(
        self,
        code: str,
        message: str,
        atom: Atom,
        *tokens: str,
        values: tuple[Any, ...] = (),
        breaking: bool = True,
    ) -> Finding:
        pointer = atom.pointer + "".join(f"/{token}" for token in tokens) if atom.document else None
        return Finding(
            code,
            message,
            self.writer,
            self.reader,
            self._writer_pointer(),
            pointer,
            self.trail,
            values,
            breaking,
            keyword=tokens[0] if tokens else None,
        )

    def _writer_pointer(self) -> str | None:
        """Where the writer speaks of the value; if it says nothing, of the value around it."""
        around = (writer.pointer for writer, _ in reversed(self.trail))
        return next((pointer for pointer in (self.writer.pointer, *around) if pointer is not None), None)


class Prover:
    """Compares one writer with one reader."""

    def __init__(self, *, policy: Policy, budget: Budget) -> None:
        self.policy = policy
        self.budget = budget
        self._proven: set[object] = set()
        self._failed: set[object] = set()
        self._reported: dict[object, None] = {}
        self._active: dict[object, tuple[int, int]] = {}
        self._lowest_assumption = NO_ASSUMPTION
        self._quiet = 0
        self._exactly = 0
        self._empty: dict[object, bool] = {}
        self._same: set[tuple[int, int]] = set()

    def findings(self, place: Place) -> Generator[Finding, None, None]:
        """Where the writer's values at `place` may be refused by the reader."""
        self.budget.spend(1 + (len(place.writer.parts) + len(place.reader.parts)) // 4)
        level = len(place.trail)
        if level > MAX_NESTING:
            raise CompatibilityLimit(f"The schemas nest deeper than {MAX_NESTING} levels.")
        key = (place.writer.key, place.reader.key, self._exactly > 0)
        if key in self._proven:
            return
        if key in self._active:
            yield from self._again(place, key, level)
            return
        if not self._quiet and key in self._reported:
            yield place.repeated()
            return
        order = len(self._active)
        self._active[key] = (level, order)
        outer, self._lowest_assumption = self._lowest_assumption, NO_ASSUMPTION
        failed = False
        try:
            for finding in self._weighed(place):
                failed = failed or finding.breaking
                yield finding
            if not failed and self._lowest_assumption >= order:
                self._proven.add(key)
            if failed and not self._quiet:
                self._reported[key] = None
        finally:
            del self._active[key]
            inner = self._lowest_assumption if self._lowest_assumption < order else NO_ASSUMPTION
            self._lowest_assumption = min(outer, inner)

    def _again(self, place: Place, key: object, level: int) -> Iterator[Finding]:
        """The same comparison further up: by induction on the depth of values it holds for a part of one."""
        active_level, order = self._active[key]
        if active_level < level:
            self._lowest_assumption = min(self._lowest_assumption, order)
        else:
            yield place.repeated()

    def proves(self, place: Place) -> bool:
        """Whether the reader admits all of the writer's values at `place`."""
        key = (place.writer.key, place.reader.key, self._exactly > 0, place.splits)
        if key in self._failed:
            return False
        self._quiet += 1
        try:
            with closing(self.findings(place)) as findings:
                held = not any(finding.breaking for finding in findings)
        finally:
            self._quiet -= 1
        if not held:
            self._failed.add(key)
        return held

    def _weighed(self, place: Place) -> Iterator[Finding]:
        """The findings that remain when the writer is looked at more closely."""
        reported = len(self._reported)
        found = self._direct(place)
        if not any(finding.breaking for finding in found):
            yield from found
        elif self.is_empty(place.writer, place.trail):
            self._forget(reported)
            yield from (finding for finding in found if not finding.breaking)
        elif self._splits(place.writer, place.splits) and place.writer.open_alternatives:
            self._forget(reported)
            yield from self._of_alternatives(place)
        else:
            yield from found

    def _direct(self, place: Place) -> list[Finding]:
        """What the parts of the reader find; where one is enough, up to the first that breaks.

        All of it before anything else is asked about the place: a comparison that is still under way counts
        as an assumption, and one that has failed must not.
        """
        with closing(self._of_parts(place)) as findings:
            if not self._quiet:
                return list(findings)
            found: list[Finding] = []
            for finding in findings:
                found.append(finding)
                if finding.breaking:
                    break
            return found

    def _forget(self, reported: int) -> None:
        """Only the first so many comparisons count as reported; what was told since then is not used."""
        while len(self._reported) > reported:
            self._reported.popitem()

    def _splits(self, writer: Conjunction, splits: int) -> bool:
        """Whether the writer has alternatives that may still be taken one by one."""
        if splits >= MAX_SPLITS or not writer.alternatives:
            return False
        self.budget.spend(sum(map(len, writer.alternatives)) // 8)
        return True

    def _of_alternatives(self, place: Place) -> Iterator[Finding]:
        """The findings of the writer's first alternatives, one by one."""
        for branch in place.writer.open_alternatives[0]:
            narrowed = Place(place.writer.both(branch), place.reader, place.trail, place.splits + 1)
            if not self.is_empty(narrowed.writer, place.trail):
                yield from list(self.findings(narrowed))

    def _of_parts(self, place: Place) -> Generator[Finding, None, None]:
        if place.writer.never:
            return
        for part in place.reader.parts:
            if part.keywords and not self.holds_already(place.writer, part):
                yield from rules.part_findings(self, place, part)
        for denied in place.reader.denied:
            yield from rules.denied_findings(self, place, denied)

    def holds_already(self, writer: Conjunction, part: Atom) -> bool:
        """Whether the writer says the very same thing."""
        return any(self.same(own, part) for own in writer.by_text.get(part.text, ()))

    def same(self, own: Atom, other: Atom) -> bool:
        """Whether two subschemas say the same, word for word, and so does all that they refer to."""
        met: set[tuple[int, int]] = set()
        pending = [(own, other)]
        while pending:
            one, two = pending.pop()
            key = (one.serial, two.serial)
            if key in met or key in self._same:
                continue
            met.add(key)
            self.budget.spend(len(met) // SAME_PER_STEP)
            led_to = _led_to(one, two)
            if led_to is None:
                return False
            pending += led_to
        self._same |= met
        return True

    # emptiness

    def is_empty(self, writer: Conjunction, trail: Trail = (), depth: int = 0) -> bool:
        """Whether it is proven that no value is admitted by all of `writer`."""
        key = (writer.key, depth, self._exactly > 0)
        if key in self._empty:
            return self._empty[key]
        self.budget.spend(1 + len(writer.parts) // 4)
        outer, self._lowest_assumption = self._lowest_assumption, NO_ASSUMPTION
        empty = self._is_empty(writer, trail, depth)
        if self._lowest_assumption == NO_ASSUMPTION:
            self._empty[key] = empty  # what holds under an assumption holds only as long as that is made
        self._lowest_assumption = min(outer, self._lowest_assumption)
        return empty

    def _is_empty(self, writer: Conjunction, trail: Trail, depth: int) -> bool:
        if writer.never or not writer.types:
            return True
        finite = writer.finite
        if finite is not None:
            return not finite
        if all(self._is_empty_of(writer, name, depth) for name in writer.types):
            return True
        if self._denies_itself(writer, trail, depth):
            return True
        return depth < MAX_EMPTY_SPLITS and any(
            all(self.is_empty(writer.both(branch), trail, depth + 1) for branch in branches)
            for branches in writer.open_alternatives
        )

    def _is_empty_of(self, writer: Conjunction, name: str, depth: int) -> bool:
        if name in NUMERIC:
            return writer.no_number(integers=name == "integer")
        if name == "string":
            return writer.min_length > writer.max_length
        if name == "array":
            if writer.min_items > writer.max_items:
                return True
            indexes = range(min(writer.min_items, writer.prefix + 1))
            return depth < MAX_SPLITS and any(self.is_empty(writer.item(i), (), depth + 1) for i in indexes)
        if name == "object":
            if writer.min_properties > writer.max_properties:
                return True
            return depth < MAX_SPLITS and any(
                self.is_empty(writer.value_of(required), (), depth + 1)
                for required in sorted(writer.required)
            )
        return False

    def _denies_itself(self, writer: Conjunction, trail: Trail, depth: int) -> bool:
        """Some denied subschema admits everything that the rest admits."""
        if depth >= MAX_SPLITS or not writer.denied:
            return False
        for denied in writer.denied:
            if any(self.same(part, denied) for part in writer.parts):
                return True
            rest = Conjunction(*((part, False) for part in _without_not(writer, denied)))
            place = Place(rest, Conjunction.of(denied), trail, MAX_SPLITS)
            if rest.parts and self._proves_exactly(place):
                return True
        return False

    def _proves_exactly(self, place: Place) -> bool:
        self._exactly += 1
        try:
            return self.proves(place)
        finally:
            self._exactly -= 1

    @property
    def lenient(self) -> bool:
        """Whether optional properties that are new in an open model are ignored here."""
        return self.policy == "lenient" and not self._exactly


def _without_not(writer: Conjunction, denied: Atom) -> list[Atom]:
    """The parts of `writer` that do not themselves deny `denied`."""
    return [
        part for part in writer.parts if part.keywords.get("not") is not denied and not _wraps(part, denied)
    ]


def _wraps(part: Atom, denied: Atom) -> bool:
    return any(entry.keywords.get("not") is denied for entry in part.keywords.get("allOf", ()))


def _led_to(one: Atom, two: Atom) -> list[tuple[Atom, Atom]] | None:
    """What must be the same for two subschemas to be it; None if they are not."""
    if one is two or one.document is two.document:
        if one.text != two.text:
            return None
        if one.document is None or one.document.means_one_thing:
            return []
    if one.text != two.text or _dialect(one) != _dialect(two):
        return None
    if "$" not in one.text:
        return []
    if one.is_dynamic:
        return None
    pairs: list[tuple[Atom, Atom]] = []
    for name in one.references:
        first, second = (atom.document.resolve(name) if atom.document else None for atom in (one, two))
        if first is None or second is None:
            return None
        pairs.append((first, second))
    return pairs


def _dialect(atom: Atom) -> str | None:
    return atom.document.dialect if atom.document else None
