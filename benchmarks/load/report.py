"""docs/load.md, section by section: a run replaces what it has measured and leaves the rest."""

from __future__ import annotations

import os
import platform
import re
import textwrap
from datetime import UTC, datetime
from pathlib import Path

PATH = Path(__file__).resolve().parents[2] / "docs" / "load.md"
TRIED = PATH.parents[1] / ".data" / "load.md"  # of a run in short
ORDER = ("rates", "soak", "units", "growth", "processes")
SCALING = PATH.with_name("scaling.md")
HEAD = """# Load

Written by `make load` (`python -m benchmarks.load`, whose `--help` names its parts); do not edit it. Web processes,
PostgreSQL, Redis and the load generator share one machine. PostgreSQL and Redis write to disk as in earnest (fsync,
append-only file); limits on rates are lifted, requests are logged. Requests are signed beforehand, in other processes.
What follows from these figures for larger installations is in [scaling.md](scaling.md), attacks are in
[attacks.md](attacks.md).
"""
FIGURES, FIGURES_END = "<!-- figures -->", "<!-- end of figures -->"
_SECTION = re.compile(r"<!-- (\w+) -->\n(.*?)\n<!-- end -->\n", re.DOTALL)


def write(found: dict[str, str], path: Path = PATH) -> None:
    """Replace the sections in `found`, by name."""
    sections = dict(_SECTION.findall(path.read_text())) if path.exists() else {}
    for name, text in found.items():
        sections[name] = f"{text}\n\n{machine()}"
    parts = [f"<!-- {name} -->\n{sections[name]}\n<!-- end -->\n" for name in ORDER if name in sections]
    path.parent.mkdir(exist_ok=True)
    path.write_text(wrapped("\n".join([HEAD, *parts])))


def fill_in(text: str, path: Path) -> None:
    """Replace what stands between the marks of figures in a document that is written by hand otherwise."""
    before, mark, rest = path.read_text().partition(FIGURES)
    _, end, after = rest.partition(FIGURES_END)
    if not mark or not end:
        raise SystemExit(f"{path.name} has no place for its figures.")
    path.write_text(f"{before}{mark}\n\n{wrapped(text)}\n\n{wrapped(machine())}\n\n{end}{after}")


def wrapped(text: str) -> str:
    """Paragraphs in lines of at most 120 characters; tables stay as they are."""
    return "\n".join(
        line
        if line.startswith("|")
        else textwrap.fill(line, 120, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def machine() -> str:
    """When and on what this was measured."""
    now = datetime.now(UTC)
    return (
        f"*{now:%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"load average at the end {os.getloadavg()[0]:.1f}.*"
    )
