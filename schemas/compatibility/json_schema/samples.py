"""Documents worth trying: values near every bound that the writer and the reader draw.

Nothing here needs to be right, only likely: each value is checked by the compiled validators before
it counts. What is generated is bounded in number and in size.
"""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any, Final

from schemas.compatibility.json_schema.atoms import STRING, property_atoms
from schemas.compatibility.json_schema.conjunction import Conjunction
from schemas.compatibility.json_schema.document import Atom
from schemas.compatibility.json_schema.regex import example
from schemas.compatibility.limits import Budget

MAX_LENGTH: Final = 5_000
MAX_COUNT: Final = 300
MAX_VALUES: Final = 60
CHARACTERS_PER_STEP: Final = 50
HUGE: Final = 10**300
"""Numbers from here on are not tried: hardly any reader of JSON can hold them."""
MIN_TRIED: Final = 240
"""Values tried before it is given up to find one that is admitted."""
MAX_DEPTH: Final = 6
MAX_BRANCHES: Final = 8
BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
SIMPLE: Final[tuple[tuple[str, Any], ...]] = (
    ("string", "a"),
    ("integer", 0),
    ("boolean", False),
    ("null", None),
    ("array", []),
    ("object", {}),
)
MAX_HINTS: Final = 12
FORMATS: Final = {
    "date": ("2026-01-31", "2026-02-28"),
    "date-time": ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+01:00"),
    "time": ("12:00:00Z", "12:00:00+01:00"),
    "duration": ("P1D", "PT36H"),
    "email": ("a@example.com", "a@b"),
    "idn-email": ("a@example.com", "a@b"),
    "hostname": ("example.com", "a"),
    "idn-hostname": ("example.com", "a"),
    "ipv4": ("192.0.2.1", "1.1.1.1"),
    "ipv6": ("2001:db8::1", "::", "::1"),
    "uri": ("https://example.com/", "a:"),
    "uri-reference": ("/a", ""),
    "iri": ("https://example.com/", "a:"),
    "iri-reference": ("/a", ""),
    "uuid": ("6f1e2f0c-5f0a-4a57-8a3b-0d8a3c1f9b11", "00000000-0000-0000-0000-000000000000"),
    "uri-template": ("/{a}", ""),
    "json-pointer": ("/a", ""),
    "relative-json-pointer": ("0/a", "0"),
    "regex": ("a", ""),
}
"""A usual value of each format, and shorter or longer ones."""


class Sampler:
    """Makes values for a writer that a reader might refuse."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._least: dict[object, list[Any]] = {}

    def valid(
        self, writer: Conjunction, reader: Conjunction, limit: int = MAX_VALUES, depth: int = 0
    ) -> list[Any]:
        """Up to `limit` different values that the writer admits."""
        found: list[Any] = []
        seen: set[str] = set()
        for value in islice(self.values(writer, reader, depth), max(4 * limit, MIN_TRIED)):
            key = repr(value)
            if key in seen:
                continue
            seen.add(key)
            self.budget.spend(len(key) // CHARACTERS_PER_STEP)
            if writer.admits(value) is not False:
                found.append(value)
                if len(found) >= limit:
                    break
        return found

    def promising(self, writer: Conjunction, reader: Conjunction, limit: int, depth: int) -> list[Any]:
        """As `valid`, those that the reader refuses before the others."""
        found = self.valid(writer, reader, 5 * limit, depth)
        return sorted(found, key=lambda value: reader.admits(value) is not False)[:limit]

    def values(self, writer: Conjunction, reader: Conjunction, depth: int = 0) -> Iterator[Any]:
        """Values to try, likely admitted by the writer."""
        self.budget.spend()
        if depth > MAX_DEPTH:
            return
        finite = writer.finite
        if finite is not None:
            yield from finite[:MAX_COUNT]
            return
        yield from self._constants(reader, depth)
        for branches in writer.open_alternatives[:2]:
            for branch in branches[:MAX_BRANCHES]:
                yield from islice(self.values(writer.both(branch), reader, depth + 1), MAX_VALUES)
        makers: dict[str, Callable[[], Iterable[Any]]] = {
            "null": lambda: [None],
            "boolean": lambda: [True, False],
            "string": lambda: self._strings(writer, reader),
            "array": lambda: self._arrays(writer, reader, depth),
            "object": lambda: self._objects(writer, reader, depth),
        }
        if writer.types & {"integer", "fraction"}:
            yield from self._numbers(writer, reader)
        for name, make in makers.items():
            if name in writer.types:
                yield from islice(make(), MAX_VALUES)

    def _constants(self, reader: Conjunction, depth: int) -> Iterator[Any]:
        for atom in self._mentioned(reader, depth):
            for listed in atom.keywords.get("constants", ()):
                yield from listed[:20]

    def _mentioned(self, *conjunctions: Conjunction | int) -> Iterator[Atom]:
        """The parts of the conjunctions, and of their alternatives and denials, a level deep or two."""
        stack = [atom for c in conjunctions if isinstance(c, Conjunction) for atom in (*c.parts, *c.denied)]
        seen: set[int] = set()
        while stack and len(seen) < MAX_VALUES:
            atom = stack.pop()
            if id(atom) in seen:
                continue
            seen.add(id(atom))
            yield atom
            for keyword in ("anyOf", "oneOf", "allOf"):
                stack.extend(atom.keywords.get(keyword, ()))
            stack.extend(atom.keywords[key] for key in ("not", "if", "then", "else") if key in atom.keywords)
            if atom.reference is not None:
                stack.append(atom.reference)

    # scalars

    def _numbers(self, writer: Conjunction, reader: Conjunction) -> list[Any]:
        bounds: list[Fraction] = []
        steps: list[Fraction] = [Fraction(1), Fraction(1, 2)]
        for atom in self._mentioned(writer, reader):
            bounds += [_fraction(atom.keywords[keyword]) for keyword in BOUNDS if keyword in atom.keywords]
            if "multipleOf" in atom.keywords:
                multiple = _fraction(atom.keywords["multipleOf"])
                steps += [multiple, multiple / 2]
        values = [
            Fraction(0),
            Fraction(1),
            Fraction(-1),
            Fraction(3, 2),
            Fraction(100),
            Fraction(-100),
            Fraction(12345),
        ]
        grid = writer.multiple or Fraction(1)
        for bound in [Fraction(0), *bounds[:12]]:
            nearest = grid * (bound // grid)
            values += [nearest + grid * factor for factor in (-1, 0, 1, 2, 3)]
            values += [bound + sign * size for size in steps[:6] for sign in (-1, 1)] + [bound]
        values += [step * factor for step in steps[:8] for factor in (1, 2, 3, 5, 7)]
        values += [Fraction(10**15 + 1), Fraction(-(10**15) - 1)]
        return [_number(value) for value in values if abs(value.numerator) < HUGE * value.denominator]

    def _strings(self, writer: Conjunction, reader: Conjunction) -> Iterator[str]:
        lengths = {0, 1, 2}
        seeds: list[str] = []
        for atom in self._mentioned(writer, reader):
            for keyword in ("minLength", "maxLength"):
                if keyword in atom.keywords:
                    base = int(atom.keywords[keyword])
                    lengths |= {base - 1, base, base + 1}
            if "pattern" in atom.keywords:
                pattern = atom.keywords["pattern"]
                seeds += [example(pattern, repeats) for repeats in (0, 1, 3)]
                seeds.append(example(pattern, 1, last=True))
            if atom.keywords.get("format") in FORMATS:
                seeds += FORMATS[atom.keywords["format"]]
        fitting = sorted(length for length in lengths if 0 <= length <= MAX_LENGTH)
        for seed in seeds:
            yield seed
            yield from (seed + "x", "x" + seed, seed + "0", seed + seed)
            for length in fitting:
                if length > len(seed):
                    yield seed + (seed[-1:] or "a") * (length - len(seed))
        for length in fitting:
            yield "a" * length
        yield from ("0", "A", " ", "-", "a b", "é", "https://example.com/", "%%", "\n", "a1", "zzzzzz")

    # arrays

    def _arrays(self, writer: Conjunction, reader: Conjunction, depth: int) -> Iterator[list[Any]]:
        counts = {writer.min_items, writer.min_items + 1, 0, 1, 2}
        for atom in self._mentioned(writer, reader):
            for keyword in ("minItems", "maxItems", "minContains", "maxContains"):
                if keyword in atom.keywords:
                    base = int(atom.keywords[keyword])
                    counts |= {base - 1, base, base + 1}
            counts |= {
                len(atom.keywords.get("prefixItems", ())),
                len(atom.keywords.get("prefixItems", ())) + 1,
            }
        wanted = [part.keywords["contains"] for part in writer.parts if "contains" in part.keywords]
        fitting = sorted(n for n in counts if writer.min_items <= n <= min(writer.max_items, MAX_COUNT))
        yield from self._mixed_arrays(writer, reader, wanted, fitting, depth)
        for count in fitting:
            plain = self._plain_array(writer, count, wanted, depth)
            if plain is None:
                continue
            yield plain
            if count and not writer.unique:
                yield [plain[0]] * count
            yield from self._varied_arrays(writer, reader, plain, depth)

    def _mixed_arrays(
        self, writer: Conjunction, reader: Conjunction, wanted: list[Atom], counts: list[int], depth: int
    ) -> Iterator[list[Any]]:
        """Some items of the kind that the writer's `contains` wants, the rest of the reader's kind or of any."""
        others = [
            atom.keywords["contains"] for atom in self._mentioned(reader) if "contains" in atom.keywords
        ]
        if not others or depth > 1:
            return
        item, other = writer.item(writer.prefix), Conjunction.of(*others[:2])
        special = self.promising(item.plus(*wanted), other, 2, depth + 1)
        usual = self.promising(item.both(other), Conjunction.of(*wanted), 2, depth + 1)
        usual += self.promising(item, other, 1, depth + 1)
        for count in [number for number in reversed(counts) if number][:5]:
            for most in {1, count - 1}:
                for one in special:
                    yield from ([*[one] * most, *[rest] * (count - most)] for rest in usual)

    def _plain_array(
        self, writer: Conjunction, count: int, wanted: list[Atom], depth: int
    ) -> list[Any] | None:
        items: list[Any] = []
        pools: dict[int, list[Any]] = {}
        for index in range(count):
            item = (
                writer.item(index).plus(*wanted)
                if index < writer.min_items and wanted
                else writer.item(index)
            )
            slot = min(index, writer.prefix) if index >= writer.min_items else -1 - min(index, writer.prefix)
            if slot not in pools:
                pools[slot] = self.valid(item, item, 40 if writer.unique else 3, depth + 1)
            pool = [value for value in pools[slot] if not writer.unique or value not in items]
            if not pool:
                return None
            items.append(pool[0])
        return items

    def _varied_arrays(
        self, writer: Conjunction, reader: Conjunction, plain: list[Any], depth: int
    ) -> Iterator[list[Any]]:
        for index in range(min(len(plain), writer.prefix + 2, 8)):
            hints = [
                atom for part in self._mentioned(reader) for atom in Conjunction.of(part).item(index).parts
            ]
            for value in self.promising(writer.item(index), Conjunction.of(*hints[:MAX_HINTS]), 6, depth + 1):
                yield [*plain[:index], value, *plain[index + 1 :]]

    # objects

    def _objects(self, writer: Conjunction, reader: Conjunction, depth: int) -> Iterator[dict[str, Any]]:
        base = self.least_object(writer, depth)
        if base is None:
            return
        yield base
        names = list(dict.fromkeys([*writer.named, *reader.named, *self._other_names(writer, reader)]))[
            :MAX_VALUES
        ]
        pools = {name: self._pool(writer, reader, name, depth) for name in names}
        for name in names:
            for value in pools[name]:
                yield base | {name: value}
        full = dict(base)
        for name in names:
            if pools[name] and len(full) < writer.max_properties:
                full.setdefault(name, pools[name][0])
                yield dict(full)
        for name in names:
            yield {key: value for key, value in full.items() if key != name}
        yield from self._counted(writer, reader, base)

    def _pool(self, writer: Conjunction, reader: Conjunction, name: str, depth: int) -> list[Any]:
        own = writer.value_of(name)
        if own.never:
            return []
        hints = [atom for part in self._mentioned(reader) for atom in property_atoms(part, name)]
        return self.promising(own, Conjunction.of(*hints[:MAX_HINTS]), 8 if depth < 2 else 3, depth + 1)

    def _other_names(self, writer: Conjunction, reader: Conjunction) -> Iterator[str]:
        yield from self._names(writer, reader)
        for atom in self._mentioned(writer, reader):
            yield from list(atom.keywords.get("properties", ()))[:20]
            yield from list(atom.keywords.get("required", ()))[:20]
            for keyword in ("dependentRequired", "dependentSchemas"):
                yield from list(atom.keywords.get(keyword, ()))[:20]
            for pattern in atom.keywords.get("patternProperties", ()):
                yield from (example(pattern, 0), example(pattern, 1), example(pattern) + "x")
        yield from ("extra_property", "x")

    def _names(self, writer: Conjunction, reader: Conjunction) -> list[str]:
        """Names that `propertyNames` of the writer admits, those that the reader's refuses before the others."""
        own, other = (
            [a.keywords["propertyNames"] for a in self._mentioned(side) if "propertyNames" in a.keywords][:3]
            for side in (writer, reader)
        )
        if not own and not other:
            return []
        return self.promising(Conjunction.of(STRING, *own), Conjunction.of(*other), 6, MAX_DEPTH - 1)

    def least_object(
        self, writer: Conjunction, depth: int = 0, *, skip: str | None = None
    ) -> dict[str, Any] | None:
        """An object with what the writer demands, but for `skip`, which is added to it; None where none is found."""
        made: dict[str, Any] = {}
        for name in sorted(writer.required - {skip}):
            own = writer.value_of(name)
            values = self._one(own, depth + 1)
            if not values:
                return None
            made[name] = values[0]
        wanted = writer.min_properties - (skip in writer.required)
        if len(made) < wanted <= MAX_COUNT:
            made = self._filled(writer, made, wanted, skip=skip)
        return made

    def _one(self, writer: Conjunction, depth: int) -> list[Any]:
        """One value of the writer, remembered; [] where none is found."""
        key = (writer.key, depth)
        if key not in self._least:
            simple = next(([v] for name, v in SIMPLE if name in writer.types and writer.admits(v)), None)
            self._least[key] = simple if simple is not None else self.valid(writer, writer, 1, depth)
        return self._least[key]

    def _filled(
        self, writer: Conjunction, made: dict[str, Any], count: int, *, skip: str | None = None
    ) -> dict[str, Any]:
        made = dict(made)
        patterned = [example(pattern) for pattern in writer.name_patterns]
        fresh = [f"p{index}" for index in range(count)] + [
            f"{name}{i}" for name in patterned for i in range(count)
        ]
        for name in [*writer.named, *patterned, *fresh]:
            if len(made) >= count:
                break
            if name not in made and name != skip and not writer.value_of(name).never:
                values = self._one(writer.value_of(name), MAX_DEPTH - 1)
                if values:
                    made[name] = values[0]
        return made

    def _counted(
        self, writer: Conjunction, reader: Conjunction, base: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        for atom in self._mentioned(writer, reader):
            for keyword in ("minProperties", "maxProperties"):
                if keyword in atom.keywords:
                    for count in (atom.keywords[keyword] + offset for offset in (-1, 0, 1)):
                        if 0 < count <= MAX_COUNT:
                            yield self._filled(writer, base, int(count))


def _fraction(value: Any) -> Fraction:
    return Fraction(value) if isinstance(value, int) else Fraction(str(value))


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
