"""Does a reader admit everything that a writer does? A proof, or the places where it fails.

`Prover.findings(writer, reader)` gives nothing if every value admitted by the writer is proven to be
admitted by the reader. It is sound: a rule that cannot decide gives a finding. A finding is
therefore a suspicion; `witness` turns it into a counterexample, or `fallback` dismisses it.

The reader is taken apart into single assertions, each of which must hold for all of the writer's
values; the writer is kept together, since all of its assertions help. Where alternatives of the
writer matter they are taken one by one.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from schemas.compatibility.json_schema import rules
from schemas.compatibility.json_schema.atoms import NUMERIC
from schemas.compatibility.json_schema.conjunction import Conjunction
from schemas.compatibility.json_schema.document import Atom, Document
from schemas.compatibility.limits import MAX_NESTING, Budget
from schemas.compatibility.report import CompatibilityLimit, Policy

Step = str | int
Trail = tuple[tuple[Conjunction, Step], ...]

MAX_SPLITS: Final = 4
MAX_EMPTY_SPLITS: Final = 2
NO_ASSUMPTION: Final = 1_000_000
REFERENCE: Final = re.compile(r'"\$(?:ref|dynamicRef|recursiveRef)": "((?:[^"\\]|\\.)*)"')


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

    def __init__(self, writer: Document, reader: Document, *, policy: Policy, budget: Budget) -> None:
        self.writer_document = writer
        self.reader_document = reader
        self.policy = policy
        self.budget = budget
        self._proven: set[object] = set()
        self._failed: set[object] = set()
        self._reported: set[object] = set()
        self._active: dict[object, tuple[int, int]] = {}
        self._lowest_assumption = NO_ASSUMPTION
        self._quiet = 0
        self._exactly = 0
        self._empty: dict[object, bool] = {}

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
                self._reported.add(key)
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
        direct = self._of_parts(place)
        notes: list[Finding] = []
        first = None
        for finding in direct:
            if finding.breaking:
                first = finding
                break
            notes.append(finding)
        if first is None or self.is_empty(place.writer, place.trail):
            yield from notes
            return
        found = [first] if self._quiet else [*notes, first, *direct]
        yield from self._of_alternatives(place, found) if self._splits(place.writer, place.splits) else found

    def _splits(self, writer: Conjunction, splits: int) -> bool:
        """Whether the writer has alternatives that may still be taken one by one."""
        if splits >= MAX_SPLITS or not writer.alternatives:
            return False
        self.budget.spend(sum(map(len, writer.alternatives)) // 8)
        return True

    def _of_alternatives(self, place: Place, direct: list[Finding]) -> list[Finding]:
        """The findings of the writer's alternatives, one by one, where that leaves fewer."""
        for branches in place.writer.open_alternatives:
            found: list[Finding] = []
            for branch in branches:
                narrowed = Place(place.writer.both(branch), place.reader, place.trail, place.splits + 1)
                if not self.is_empty(narrowed.writer, place.trail):
                    found.extend(self.findings(narrowed))
            return found
        return direct

    def _of_parts(self, place: Place) -> Iterator[Finding]:
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
        """Whether two subschemas say the same, word for word, references included."""
        if own is other:
            return True
        if own.text != other.text or _dialect(own) != _dialect(other):
            return False
        return own.document is other.document or "$" not in own.text or self._references_agree

    @cached_property
    def _references_agree(self) -> bool:
        """Every reference that both documents use names the same in both."""
        documents = (self.writer_document, self.reader_document)
        if not all(document.scopes_are_plain for document in documents):
            return False
        ours, theirs = (set(REFERENCE.findall(atom.text)) for atom in self._roots)
        for name in ours & theirs:
            one, other = (document.resolve(name) for document in documents)
            if one is None or other is None or one.text != other.text:
                return False
        return True

    @property
    def _roots(self) -> list[Atom]:
        return [document.atom(document.root, "") for document in (self.writer_document, self.reader_document)]

    # emptiness

    def is_empty(self, writer: Conjunction, trail: Trail = (), depth: int = 0) -> bool:
        """Whether it is proven that no value is admitted by all of `writer`."""
        key = (writer.key, depth, self._exactly > 0)
        if key not in self._empty:
            self.budget.spend(1 + len(writer.parts) // 4)
            self._empty[key] = self._is_empty(writer, trail, depth)
        return self._empty[key]

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


def _dialect(atom: Atom) -> str | None:
    return atom.document.dialect if atom.document else None
