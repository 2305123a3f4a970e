"""Reader and writer schemas by the Avro 1.11 specification, section "Schema Resolution".

`avro_findings(writer, reader)` gives every place where data written with the one cannot be read with
the other. As in the specification's own implementation, names are compared without their namespace,
the reader's aliases count, and every branch of a writer's union must be readable.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from schemas.compatibility.limits import Budget
from schemas.formats.avro_model import AvroField, AvroType
from schemas.formats.problems import shown, step

PROMOTIONS: Final = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}

ANY_NAMED: Final = "named"
BRANCHES_PER_STEP: Final = 20

AvroTrail = tuple[tuple[AvroType, str | int], ...]
"""How to get to a value: each type on the way with the field or branch taken (or "" for an item)."""


@dataclass(frozen=True, slots=True)
class AvroFinding:
    """A place where data of the writer cannot be read. `symbol` is one that an enum of the reader lacks."""

    code: str
    message: str
    writer: AvroType
    writer_pointer: str
    reader_pointer: str
    trail: AvroTrail
    symbol: str | None = field(default=None)


def avro_findings(writer: AvroType, reader: AvroType, budget: Budget) -> list[AvroFinding]:
    """Everything that keeps data of `writer` from being read as `reader`; [] if nothing does.

    Raises `CompatibilityLimit`.
    """
    return list(_Resolution(budget).pair(writer, reader, ()))


class _Resolution:
    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._seen: dict[tuple[int, int], None] = {}
        self._broken: set[tuple[int, int]] = set()
        self._branches: dict[int, dict[tuple[str, str], list[int]]] = {}

    def pair(self, writer: AvroType, reader: AvroType, trail: AvroTrail) -> Iterator[AvroFinding]:
        """The findings of one pair; a pair met again adds none, it has told its own already."""
        self.budget.spend()
        key = (id(writer), id(reader))
        if key in self._seen:
            return
        self._seen[key] = None
        yield from self._compared(writer, reader, trail)

    def resolves(self, writer: AvroType, reader: AvroType) -> bool:
        """Whether `reader` can read all data of `writer`, found out without leaving a trace.

        What cannot be read stays so, whatever else is assumed, so it is remembered.
        """
        key = (id(writer), id(reader))
        if key in self._broken:
            return False
        self.budget.spend()
        seen = len(self._seen)
        self._seen.setdefault(key)
        held = next(self._compared(writer, reader, ()), None) is None
        while len(self._seen) > seen:
            self._seen.popitem()
        if not held:
            self._broken.add(key)
        return held

    def _compared(self, writer: AvroType, reader: AvroType, trail: AvroTrail) -> Iterator[AvroFinding]:
        if writer.kind == "union":
            for index, branch in enumerate(writer.branches):
                yield from self.pair(branch, reader, (*trail, (writer, index)))
        elif reader.kind == "union":
            yield from self._into_union(writer, reader, trail)
        elif writer.kind != reader.kind:
            if reader.kind not in PROMOTIONS.get(writer.kind, ()):
                message = f"The {{writer}} version writes {writer.title}, the {{reader}} version reads {reader.title}."
                yield _finding("TYPE_MISMATCH", message, writer, reader, trail)
        elif writer.name and not _names_match(writer, reader):
            message = f"The {{writer}} version calls it {writer.name}, the {{reader}} version {reader.name}."
            yield _finding("NAME_MISMATCH", message, writer, reader, trail)
        elif writer.kind == "record":
            yield from self._records(writer, reader, trail)
        elif writer.kind == "enum":
            yield from _enums(writer, reader, trail)
        elif writer.kind == "fixed" and writer.size != reader.size:
            message = f"The fixed {writer.name} has {writer.size} bytes in the {{writer}} version, "
            message += f"{reader.size} in the {{reader}} version."
            yield _finding("FIXED_SIZE_MISMATCH", message, writer, reader, trail)
        elif writer.kind in ("array", "map"):
            yield from self.pair(writer.element, reader.element, (*trail, (writer, "")))
        else:
            yield from _logical(writer, reader, trail)

    def _into_union(self, writer: AvroType, reader: AvroType, trail: AvroTrail) -> Iterator[AvroFinding]:
        """Readers take the first branch that matches by kind and name.

        Some prefer one of the same full name, some match by the name alone and look at the kind too late.
        """
        close = self._branches_for(reader, writer.kind, writer)
        self.budget.spend(len(close) // BRANCHES_PER_STEP)
        if writer.name and close:
            called_alike = self._branches_for(reader, ANY_NAMED, writer)[0]
            taken = [called_alike] if called_alike is not close[0] else []
            taken += [close[0], *(branch for branch in close[1:] if branch.name == writer.name)]
            failing = [branch for branch in taken if not self.resolves(writer, branch)]
            if not failing:
                return
            yield from self.pair(writer, failing[0], trail)
            return
        promotions = PROMOTIONS.get(writer.kind, ())
        promoted = [branch for kind in promotions for branch in self._branches_for(reader, kind, writer)]
        if any(self.resolves(writer, branch) for branch in (*close, *promoted)):
            return
        if close:
            yield from self.pair(writer, close[0], trail)
            return
        titles = ", ".join(branch.title for branch in reader.branches) or "nothing"
        message = f"The {{writer}} version writes {writer.title}, "
        message += f"which the {{reader}} version's union of {titles} cannot read."
        yield _finding("MISSING_UNION_BRANCH", message, writer, reader, trail)

    def _branches_for(self, union: AvroType, kind: str, writer: AvroType) -> list[AvroType]:
        """The branches of `kind`, or of any that has names, in their order; of a writer with a name only its own."""
        known = self._branches.get(id(union))
        if known is None:
            known = self._branches[id(union)] = _by_kind_and_name(union)
        keys = [(kind, "")]
        if writer.name:
            short = f"~{writer.short_name}"
            keys = [(kind, writer.short_name), (kind, f"={writer.name}"), (kind, short)]
        return [union.branches[index] for index in sorted({i for key in keys for i in known.get(key, ())})]

    def _records(self, writer: AvroType, reader: AvroType, trail: AvroTrail) -> Iterator[AvroFinding]:
        written = {entry.name: entry for entry in writer.fields}
        claims = Counter(name for entry in reader.fields for name in _names(entry))
        for entry in reader.fields:
            sources = [name for name in _names(entry) if name in written]
            source = written[sources[0]] if sources else None
            if len(sources) > 1 or any(claims[name] > 1 for name in sources):
                yield _ambiguous(entry, sources, writer, trail)
            elif source is not None:
                yield from self.pair(source.type, entry.type, (*trail, (writer, source.name)))
            elif not entry.has_default:
                message = (
                    f"The {{reader}} version needs the field {shown(entry.name)} of {reader.name}, which the "
                )
                message += "{writer} version does not write, and has no default for it."
                yield AvroFinding(
                    "FIELD_WITHOUT_DEFAULT", message, writer, writer.pointer, entry.pointer, trail
                )


def _names(entry: AvroField) -> list[str]:
    """The names of the writer's fields that a reader's field may read, each once."""
    return list(dict.fromkeys((entry.name, *entry.aliases)))


def _ambiguous(entry: AvroField, sources: list[str], writer: AvroType, trail: AvroTrail) -> AvroFinding:
    """Where a name and an alias collide, implementations part: one renames first, another takes the name first."""
    if len(sources) > 1:
        message = f"The field {shown(entry.name)} of the {{reader}} version could read any of "
        message += f"{', '.join(map(shown, sources))} of the {{writer}} version"
    else:
        message = f"More than one field of the {{reader}} version could read {shown(sources[0])} of the "
        message += f"{{writer}} version, {shown(entry.name)} among them"
    message += ": a name and an alias collide, and readers fail or disagree."
    return AvroFinding("ALIAS_AMBIGUOUS", message, writer, writer.pointer, entry.pointer, trail)


def _names_match(writer: AvroType, reader: AvroType) -> bool:
    if writer.short_name == reader.short_name:
        return True
    return writer.name in reader.aliases


def _by_kind_and_name(union: AvroType) -> dict[tuple[str, str], list[int]]:
    """Where in a union each kind and name is read: names without their namespace, aliases in full behind "=".

    Under any kind aliases without their namespace, too, behind "~": some readers compare these.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for index, branch in enumerate(union.branches):
        for name in {branch.short_name, *(f"={alias}" for alias in branch.aliases)}:
            found.setdefault((branch.kind, name), []).append(index)
            if branch.name:
                found.setdefault((ANY_NAMED, name), []).append(index)
        for alias in branch.aliases:
            found.setdefault((ANY_NAMED, f"~{alias.rpartition('.')[2]}"), []).append(index)
    return found


def _enums(writer: AvroType, reader: AvroType, trail: AvroTrail) -> Iterator[AvroFinding]:
    known = set(reader.symbols)
    missing = [symbol for symbol in writer.symbols if symbol not in known]
    if missing and reader.default_symbol is None:
        names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        message = f"The enum {reader.name} of the {{reader}} version lacks {names} and has no default."
        pointers = step(writer.pointer, "symbols"), step(reader.pointer, "symbols")
        yield AvroFinding("MISSING_ENUM_SYMBOLS", message, writer, *pointers, trail, missing[0])


def _logical(writer: AvroType, reader: AvroType, trail: AvroTrail) -> Iterator[AvroFinding]:
    """Decimals "match if both have the same precision and scale" (section "Decimal")."""
    if writer.logical.get("logicalType") == reader.logical.get("logicalType") == "decimal":
        ours, theirs = ((s.logical.get("precision"), s.logical.get("scale", 0)) for s in (writer, reader))
        if ours != theirs:
            message = f"Decimals of precision and scale {ours} cannot be read as decimals of {theirs}."
            yield _finding("DECIMAL_MISMATCH", message, writer, reader, trail)


def _finding(code: str, message: str, writer: AvroType, reader: AvroType, trail: AvroTrail) -> AvroFinding:
    return AvroFinding(code, message, writer, writer.pointer, reader.pointer, trail)
