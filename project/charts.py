"""Geometry of the admin's charts. They are drawn on the server as SVG: no script, no other host.

Pure: numbers in, coordinates out. `templates/admin/charts/` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

STEP = 10.0
BAR = 8.0
HEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class Part:
    """One rectangle of a column; `kind` becomes its CSS class."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    title: str
    x: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns over time, stacked. `ticks` are the labels worth writing under the chart; `totals` by kind."""

    columns: tuple[Column, ...]
    width: float
    top: int
    ticks: tuple[str, ...]
    total: int
    totals: dict[str, int]
    description: str


@dataclass(frozen=True, slots=True)
class Row:
    """One horizontal bar; `share` in percent of the longest."""

    label: str
    value: int
    share: float
    text: str
    kind: str = ""
    link: str = ""


def columns(labels: Sequence[str], series: dict[str, Sequence[int]], *, description: str) -> Columns:
    """Stacked columns, one for each label.

    Args:
        series: kind → one value for each label, drawn from the bottom up in this order.
        description: what the chart shows, for who cannot see it.
    """
    totals = [sum(values[index] for values in series.values()) for index in range(len(labels))]
    sums = {kind: sum(values) for kind, values in series.items()}
    top = nice_top(max(totals, default=0))
    drawn = []
    for index, label in enumerate(labels):
        x, y, parts, said = index * STEP, HEIGHT, [], []
        for kind, values in series.items():
            said.append(f"{values[index]:,} {kind}")
            height = HEIGHT * values[index] / top
            y -= height
            if values[index]:
                parts.append(Part(kind, x + 1, round(y, 2), BAR, round(max(height, 1.0), 2)))
        drawn.append(Column(label, f"{label}: {', '.join(said)}", x, tuple(parts)))
    return Columns(tuple(drawn), len(labels) * STEP, top, _ticks(labels), sum(totals), sums, description)


def rows(
    values: Sequence[tuple[str, int]], *, kinds: bool = False, links: dict[str, str] | None = None
) -> list[Row]:
    """Horizontal bars in the order given."""
    longest = max((value for _, value in values), default=0) or 1
    return [
        Row(
            label,
            value,
            round(max(100 * value / longest, 1.0 if value else 0.0), 2),
            f"{value:,}",
            label if kinds else "",
            (links or {}).get(label, ""),
        )
        for label, value in values
    ]


def nice_top(highest: int) -> int:
    """The next 1, 2 or 5 times a power of ten: the axis ends on a number that is easy to read."""
    if highest <= 1:
        return 1
    power = 10 ** int(log10(highest))
    return int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= highest))


def _ticks(labels: Sequence[str]) -> tuple[str, ...]:
    if len(labels) <= 8:
        return tuple(labels)
    return (labels[0], labels[len(labels) // 2], labels[-1])
