"""How much work it is to check a document, told before it is begun: compiled validators cannot be interrupted.

A schema says how many steps one value can take: the subschemas that apply to it, references
followed, and what each of them compares. Where alternatives lead to the same property (`anyOf` of two
objects that both describe `next`, and `next` leads back), every level of a document multiplies them.
So the steps are counted for documents of each depth; times the size of a document they are its work.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Generic, TypeVar

from schemas.formats.problems import Problem

Node = TypeVar("Node")

CHECKED_WORK: Final = 200_000_000
"""Steps of about 10 ns that checking one document may take; Python's own are counted 100-fold."""

EXPLAINED_WORK: Final = 600_000
"""Values that may be copied for the problems of one document: each problem holds the value it is about."""

MAX_STEPS: Final = 1e12
"""Steps for one value from which on deeper documents are not counted any more."""

MAX_COUNTED: Final = 500_000
"""Subschemas looked at, over all depths; deeper documents are refused."""


_LENGTHS: Final = tuple(2**power for power in range(6, 24))
_RECURSIVE_LENGTH: Final = 512
"""Longer documents of schemas that refer to themselves are measured one by one: they may nest deep."""


class Allowance:
    """What is left of the work that one call may do, over one document or many."""

    def __init__(self) -> None:
        self.checked: float = CHECKED_WORK
        self.explained: float = 2 * EXPLAINED_WORK

    def takes_checking(self, work: float) -> bool:
        """Whether that much is left; if so it is taken."""
        if work > self.checked:
            return False
        self.checked -= work
        return True

    def takes_explaining(self, work: float) -> bool:
        """Whether that much is left, and not too much for one document; if so it is taken."""
        if work > min(self.explained, EXPLAINED_WORK):
            return False
        self.explained -= work
        return True


@dataclass(frozen=True, slots=True)
class Parts(Generic[Node]):
    """A subschema taken apart.

    `own` are its own steps for one value. Of each group in `in_place` one is gone into for the same
    value; the members of a group in `below` all look at the same part of it.
    """

    own: float
    in_place: Sequence[Sequence[Node]]
    below: Sequence[Sequence[Node]]


class Steps(Generic[Node]):
    """The steps that one value can take, by the depth of the document; counted as far as they are asked for."""

    def __init__(
        self,
        root: Node,
        key: Callable[[Node], Hashable],
        parts: Callable[[Node], Parts[Node]],
        *,
        of_all: bool = False,
    ) -> None:
        """`parts` takes a node of the schema apart; nodes with the same `key` are one.

        What every node takes is kept if it is `of_all`, else what the root takes.
        """
        self._root = key(root)
        self._order, self._taken_apart = _in_order(root, key, parts)
        self._above: dict[Hashable, float] = {}
        self._levels: list[float] = []
        self._nodes: list[dict[Hashable, float]] | None = [] if of_all else None
        self._settled = False
        self._given_up = False
        self._lock = threading.Lock()

    def at(self, depth: int) -> float:
        """For documents that nest at most `depth` levels; infinite where it cannot be counted."""
        with self._lock:
            while len(self._levels) <= depth and not self._settled and not self._given_up:
                self._count_a_level()
        if depth < len(self._levels):
            return self._levels[depth]
        return self._levels[-1] if self._settled else inf

    def of_node(self, key: Hashable, depth: int) -> float:
        """The same for the node with that key, where they are kept `of_all`; for an unknown one as for the root."""
        steps = self.at(depth)
        if self._nodes is None or (depth >= len(self._nodes) and not self._settled):
            return steps
        return self._nodes[min(depth, len(self._nodes) - 1)].get(key, steps)

    def quick_length(self) -> int:
        """Up to this many characters no document takes too long, whatever is in it."""
        length = 0
        for longer in _LENGTHS:
            if self.at(longer // 2) * longer > CHECKED_WORK:
                break
            length = longer
            if not self._settled and longer >= _RECURSIVE_LENGTH:
                break
        return length

    def _count_a_level(self) -> None:
        steps: dict[Hashable, float] = {}
        above = self._above
        for node in self._order:
            apart = self._taken_apart[node]
            here = sum(max(steps.get(entry, 1) for entry in group) for group in apart.in_place if group)
            below = max((sum(above.get(entry, 1) for entry in group) for group in apart.below), default=0)
            steps[node] = apart.own + here + (below if self._levels else 0)
        self._levels.append(steps[self._root])
        if self._nodes is not None:
            self._nodes.append(steps)
        self._settled = steps == above
        self._given_up = steps[self._root] > MAX_STEPS or len(self._levels) * len(self._order) > MAX_COUNTED
        self._above = steps


def _in_order(
    root: Node, key: Callable[[Node], Hashable], parts: Callable[[Node], Parts[Node]]
) -> tuple[list[Hashable], dict[Hashable, Parts[Hashable]]]:
    """Every node, those checked in place before the node itself; and what each is made of."""
    order: list[Hashable] = []
    taken_apart: dict[Hashable, Parts[Hashable]] = {}
    starts = [root]
    while starts:
        stack: list[tuple[Node, bool]] = [(starts.pop(), False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(key(node))
            elif key(node) not in taken_apart:
                apart = parts(node)
                if not apart.in_place and not apart.below:
                    taken_apart[key(node)] = Parts(apart.own, (), ())
                    order.append(key(node))
                    continue
                taken_apart[key(node)] = Parts(
                    apart.own,
                    [[key(entry) for entry in group] for group in apart.in_place],
                    [[key(entry) for entry in group] for group in apart.below],
                )
                stack.append((node, True))
                stack.extend((entry, False) for group in apart.in_place for entry in group)
                starts.extend(entry for group in apart.below for entry in group)
    return order, taken_apart


@dataclass(frozen=True, slots=True)
class Size:
    """`depth` in levels of containers; `characters` of all strings and names."""

    depth: int
    values: int
    characters: int


def size_of(document: Any) -> Size:
    """The size of a parsed JSON document, without recursion."""
    depth = characters = values = 0
    layer = [document]
    while layer:
        values += len(layer)
        inner: list[Any] = []
        nested = False
        for value in layer:
            if isinstance(value, dict):
                nested = True
                characters += sum(map(len, value))
                inner.extend(value.values())
            elif isinstance(value, list):
                nested = True
                inner.extend(value)
            elif isinstance(value, str):
                characters += len(value)
        depth += nested
        layer = inner
    return Size(depth, values, characters)


def too_much(size: Size) -> Problem:
    """Why a document of that size is not checked."""
    message = (
        "The document is not checked: alternatives, lists and patterns of the schema multiply with its depth and "
        f"size ({size.depth} levels, {size.values} values, {size.characters} characters), and that would take too "
        "long. Send smaller parts."
    )
    return Problem("DOCUMENT_TOO_COMPLEX", "", message)


NOT_EXPLAINED: Final = Problem(
    "VALUE_NOT_ALLOWED",
    "",
    "The document is refused. It is too large, or its alternatives are too many, to tell where; check parts of it.",
)
MORE_NOT_TOLD: Final = Problem(
    "PROBLEMS_NOT_ALL_TOLD",
    "",
    "The document is large for this schema, so only its first problem is told. Correct it and check again.",
)
