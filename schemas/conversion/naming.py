"""Names of types in programming languages."""

from __future__ import annotations

import re


def type_name(name: str) -> str:
    """`user-events.v2` as `UserEventsV2`: ASCII letters and digits, a letter first."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() else f"T{joined}"
