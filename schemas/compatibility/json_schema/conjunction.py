"""Subschemas that hold for the same value at once, read as one set of values.

Everything here is an over-approximation that is exact for single keywords: a value admitted by all
the subschemas is inside every bound given here. That is the side on which the prover must err.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, lcm
from operator import itemgetter
from typing import Any, Final

from schemas.compatibility.json_schema.atoms import (
    NUMERIC,
    TYPE_ATOMS,
    exact,
    is_never,
    property_atoms,
    spelt_out,
)
from schemas.compatibility.json_schema.document import Atom
from schemas.compatibility.limits import MAX_FINITE

TYPES: Final = frozenset({"null", "boolean", "integer", "fraction", "string", "array", "object"})
INFINITE: Final = 10**18
"""Stands for "no upper bound" of a count."""


MAX_DENIED: Final = 12
"""Branches of a `oneOf` up to which a branch that holds is taken to say that the others do not."""


class Conjunction:
    """All of `sources` hold; of a denied one (True beside it) the contrary."""

    def __init__(self, *sources: tuple[Atom, bool]) -> None:
        self.sources = tuple(dict.fromkeys(sources))

    @classmethod
    def of(cls, *atoms: Atom) -> "Conjunction":
        return cls(*((atom, False) for atom in atoms))

    def plus(self, *atoms: Atom) -> "Conjunction":
        return Conjunction(*self.sources, *((atom, False) for atom in atoms))

    def minus(self, *atoms: Atom) -> "Conjunction":
        return Conjunction(*self.sources, *((atom, True) for atom in atoms))

    def both(self, other: "Conjunction") -> "Conjunction":
        return Conjunction(*self.sources, *other.sources)

    def of_type(self, name: str) -> "Conjunction":
        return self.plus(TYPE_ATOMS["number" if name in NUMERIC else name])

    @cached_property
    def key(self) -> frozenset[tuple[int, bool]]:
        return frozenset((atom.serial, denied) for atom, denied in self.sources)

    @cached_property
    def pointer(self) -> str | None:
        return next((atom.pointer for atom, denied in self.sources if atom.document and not denied), None)

    @cached_property
    def _flat(self) -> tuple[list[Atom], list[Atom]]:
        """(what holds, what is denied), references and allOf spelt out."""
        parts: dict[int, Atom] = {}
        denied: dict[int, Atom] = {}
        stack = list(reversed(self.sources))
        while stack:
            atom, is_denied = stack.pop()
            target = denied if is_denied else parts
            if id(atom) in target:
                continue
            target[id(atom)] = atom
            keywords = atom.keywords
            if is_denied:
                if set(keywords) == {"not"}:
                    stack.append((keywords["not"], False))
                continue
            stack.extend((entry, False) for entry in reversed(keywords.get("allOf", ())))
            if "$ref" in keywords and (reference := atom.reference):
                stack.append((reference, False))
            if "not" in keywords:
                stack.append((keywords["not"], True))
        return list(parts.values()), list(denied.values())

    @property
    def parts(self) -> list[Atom]:
        return self._flat[0]

    @property
    def denied(self) -> list[Atom]:
        return self._flat[1]

    @cached_property
    def by_text(self) -> dict[str, list[Atom]]:
        """The parts by what they say."""
        found: dict[str, list[Atom]] = {}
        for part in self.parts:
            found.setdefault(part.text, []).append(part)
        return found

    def _each(self, keyword: str) -> Iterator[Any]:
        for part in self.parts:
            if keyword in part.keywords:
                yield part.keywords[keyword]

    @cached_property
    def never(self) -> bool:
        return any("never" in part.keywords for part in self.parts) or any(
            atom.schema is True or atom.schema == {} for atom in self.denied
        )

    @cached_property
    def types(self) -> frozenset[str]:
        types = TYPES
        for listed in self._each("type"):
            types &= spelt_out(listed)
        for atom in self.denied:
            if set(atom.keywords) == {"type"}:
                types -= spelt_out(atom.keywords["type"])
        multiple = self.multiple
        return types - {"fraction"} if multiple is not None and multiple.denominator == 1 else types

    def admits(self, value: Any) -> bool | None:
        """Whether all of it admits `value`; None where it cannot be told."""
        sure = True
        for atom, denied in self.sources:
            verdict = atom.admits(value)
            if verdict is None:
                sure = False
            elif verdict is denied:
                return False
        return True if sure else None

    # numbers

    @cached_property
    def multiple(self) -> Fraction | None:
        found = [exact(value) for value in self._each("multipleOf")]
        if not found:
            return None
        common = lcm(*(value.denominator for value in found))
        return Fraction(lcm(*(value.numerator * (common // value.denominator) for value in found)), common)

    @cached_property
    def lower(self) -> tuple[Fraction, bool] | None:
        """(bound, whether it is excluded itself)."""
        bounds = [(exact(value), False) for value in self._each("minimum")]
        bounds += [(exact(value), True) for value in self._each("exclusiveMinimum")]
        return max(bounds, default=None)

    @cached_property
    def upper(self) -> tuple[Fraction, bool] | None:
        bounds = [(exact(value), False) for value in self._each("maximum")]
        bounds += [(exact(value), True) for value in self._each("exclusiveMaximum")]
        return min(bounds, key=lambda bound: (bound[0], not bound[1]), default=None)

    def tight_lower(self, *, integers: bool) -> tuple[Fraction, bool] | None:
        """The lower bound, moved up to the next number that fits integers and multiples."""
        grid = self._grid(integers=integers)
        if self.lower is None or grid is None:
            return self.lower
        bound, excluded = self.lower
        multiple = ceil(bound / grid)
        return (grid * (multiple + 1 if excluded and multiple * grid == bound else multiple), False)

    def tight_upper(self, *, integers: bool) -> tuple[Fraction, bool] | None:
        grid = self._grid(integers=integers)
        if self.upper is None or grid is None:
            return self.upper
        bound, excluded = self.upper
        multiple = floor(bound / grid)
        return (grid * (multiple - 1 if excluded and multiple * grid == bound else multiple), False)

    def _grid(self, *, integers: bool) -> Fraction | None:
        if self.multiple is None:
            return Fraction(1) if integers else None
        if not integers:
            return self.multiple
        return Fraction(lcm(self.multiple.numerator, self.multiple.denominator), self.multiple.denominator)

    def no_number(self, *, integers: bool) -> bool:
        low, high = self.tight_lower(integers=integers), self.tight_upper(integers=integers)
        if low is None or high is None:
            return False
        return low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))

    # strings

    @cached_property
    def min_length(self) -> int:
        return max((int(value) for value in self._each("minLength")), default=0)

    @cached_property
    def max_length(self) -> int:
        return min((int(value) for value in self._each("maxLength")), default=INFINITE)

    @cached_property
    def patterns(self) -> list[str]:
        return list(self._each("pattern"))

    # arrays

    @cached_property
    def min_items(self) -> int:
        counts = [int(value) for value in self._each("minItems")]
        counts += [
            int(part.keywords.get("minContains", 1)) for part in self.parts if "contains" in part.keywords
        ]
        return max(counts, default=0)

    @cached_property
    def max_items(self) -> int:
        counts = [int(value) for value in self._each("maxItems")]
        for part in self.parts:
            if "items" in part.keywords and is_never(part.keywords["items"]):
                counts.append(len(part.keywords.get("prefixItems", ())))
            for index, entry in enumerate(part.keywords.get("prefixItems", ())):
                if is_never(entry):
                    counts.append(index)
                    break
        return min(counts, default=INFINITE)

    @cached_property
    def prefix(self) -> int:
        """From this index on all items are alike."""
        return max((len(items) for items in self._each("prefixItems")), default=0)

    @cached_property
    def unique(self) -> bool:
        return any(self._each("uniqueItems"))

    def item(self, index: int) -> "Conjunction":
        found = []
        for part in self.parts:
            prefix = part.keywords.get("prefixItems", ())
            if index < len(prefix):
                found.append(prefix[index])
            elif "items" in part.keywords:
                found.append(part.keywords["items"])
        return Conjunction.of(*found)

    # objects

    @cached_property
    def required(self) -> frozenset[str]:
        names = {name for listed in self._each("required") for name in listed}
        dependent = list(self._each("dependentRequired"))
        found = list(names) if dependent else []
        while found:
            name = found.pop()
            for dependencies in dependent:
                more = set(dependencies.get(name, ())) - names
                names |= more
                found += more
        return frozenset(names)

    @cached_property
    def named(self) -> dict[str, None]:
        """The properties that are named, in their order."""
        return {name: None for properties in self._each("properties") for name in properties}

    @cached_property
    def name_patterns(self) -> list[str]:
        return list({pattern: None for patterns in self._each("patternProperties") for pattern in patterns})

    @cached_property
    def closed(self) -> bool:
        """Some part admits no properties but the ones it names."""
        return any(
            is_never(part.keywords["additionalProperties"]) and not part.keywords.get("patternProperties")
            for part in self.parts
            if "additionalProperties" in part.keywords
        )

    @cached_property
    def min_properties(self) -> int:
        return max([len(self.required), *(int(value) for value in self._each("minProperties"))])

    @cached_property
    def max_properties(self) -> int:
        counts = [int(value) for value in self._each("maxProperties")]
        for part in self.parts:
            keywords = part.keywords
            if "additionalProperties" not in keywords or keywords.get("patternProperties"):
                continue
            if is_never(keywords["additionalProperties"]):
                counts.append(len(keywords.get("properties", ())))
        return min(counts, default=INFINITE)

    def value_of(self, name: str) -> "Conjunction":
        """What holds for the value of the property `name`."""
        general, naming = self._by_property
        parts = (
            sorted([*general, *naming.get(name, ())], key=itemgetter(0)) if general else naming.get(name, ())
        )
        return Conjunction.of(*(atom for _, part in parts for atom in property_atoms(part, name)))

    @cached_property
    def _by_property(self) -> tuple[list[tuple[int, Atom]], dict[str, list[tuple[int, Atom]]]]:
        """(parts that speak of properties in general, those that only name some, by each name), in their order."""
        general: list[tuple[int, Atom]] = []
        naming: dict[str, list[tuple[int, Atom]]] = {}
        for place in enumerate(self.parts):
            keywords = place[1].keywords
            if "patternProperties" in keywords or "additionalProperties" in keywords:
                general.append(place)
            else:
                for name in keywords.get("properties", ()):
                    naming.setdefault(name, []).append(place)
        return general, naming

    def unnamed(self) -> "Conjunction":
        """What holds for a property that no part names and no pattern matches."""
        return Conjunction.of(*self._each("additionalProperties"))

    # alternatives

    @cached_property
    def alternatives(self) -> list[list["Conjunction"]]:
        """Each entry: conjunctions, at least one of which holds beside this one."""
        found: list[list[Conjunction]] = []
        for part in self.parts:
            if part.alternatives is None:
                part.alternatives = _alternatives(part)
            found += part.alternatives
        return found

    @property
    def open_alternatives(self) -> list[list["Conjunction"]]:
        """The alternatives none of which is known to hold."""
        return [
            branches
            for branches in self.alternatives
            if not any(branch.key <= self.key for branch in branches)
        ]

    # finite sets

    @cached_property
    def finite(self) -> list[Any] | None:
        """Every value, where they can be listed."""
        constants = next((values for listed in self._each("constants") for values in listed), None)
        if constants is not None:
            return [value for value in constants if self.admits(value) is not False]
        values: list[Any] = []
        for name in sorted(self.types):
            of_type = self._finite_of(name)
            if of_type is None or len(values) + len(of_type) > MAX_FINITE:
                return None
            values.extend(of_type)
        return [value for value in values if self.admits(value) is not False]

    def _finite_of(self, name: str) -> list[Any] | None:
        if name == "null":
            return [None]
        if name == "boolean":
            return [False, True]
        if name == "integer":
            return self._integers()
        if name == "fraction":
            return [] if self.no_number(integers=False) else None
        if name == "string":
            return [""] if self.max_length == 0 else None
        if name == "array":
            return [[]] if self.max_items == 0 else None
        return [{}] if self.max_properties == 0 else None

    def _integers(self) -> list[Any] | None:
        if self.no_number(integers=True):
            return []
        low, high, grid = (
            self.tight_lower(integers=True),
            self.tight_upper(integers=True),
            self._grid(integers=True),
        )
        if low is None or high is None or grid is None or (high[0] - low[0]) / grid >= MAX_FINITE:
            return None
        count = int((high[0] - low[0]) / grid)
        return [int(low[0] + grid * index) for index in range(count + 1)]


def _alternatives(part: Atom) -> list[list[Conjunction]]:
    keywords = part.keywords
    found = []
    if "anyOf" in keywords:
        found.append([Conjunction.of(branch) for branch in keywords["anyOf"]])
    if "oneOf" in keywords:
        branches = keywords["oneOf"]
        found.append([_only(branches, index) for index in range(len(branches))])
    if "if" in keywords:
        condition = keywords["if"]
        negative = Conjunction((condition, True), (keywords["else"], False))
        found.append([Conjunction.of(condition, keywords["then"]), negative])
    return found


def _only(branches: list[Atom], index: int) -> Conjunction:
    """One branch and, where they are few, none of the others."""
    if len(branches) > MAX_DENIED:
        return Conjunction.of(branches[index])
    others = ((branch, True) for position, branch in enumerate(branches) if position != index)
    return Conjunction((branches[index], False), *others)
