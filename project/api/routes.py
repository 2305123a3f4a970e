"""Paths of the API, grouped so that a request is held against the patterns of its group only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import URLPattern, URLResolver, include, path


def route(pattern: str, view: Any, name: str) -> list[URLPattern]:
    """One call. `TrailingSlashMiddleware` takes the slash at the end away."""
    return [path(pattern, view, name=name)]


def grouped(patterns: Iterable[URLPattern]) -> list[URLPattern | URLResolver]:
    """The same patterns behind one resolver for each first segment ("schemas/", "crypto/", …)."""
    alone: list[URLPattern | URLResolver] = []
    groups: dict[str, list[URLPattern]] = {}
    for pattern in patterns:
        first, slash, rest = str(pattern.pattern).partition("/")
        if slash:
            groups.setdefault(first, []).append(
                path(rest, pattern.callback, pattern.default_args, pattern.name)
            )
        else:
            alone.append(pattern)
    return [path(f"{first}/", include(members)) for first, members in groups.items()] + alone
