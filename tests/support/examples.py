"""How hard the property tests look: little in `make test`, much in `make properties`."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """`count`, times DATAFOLD_EXAMPLES (default 1)."""
    return count * int(os.environ.get("DATAFOLD_EXAMPLES", "1"))
