"""Paths of the API: a trailing slash is accepted and not needed."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path


def route(pattern: str, view: Any, name: str) -> list[URLPattern]:
    """Two patterns for one call; only the one without the slash has a name and is documented."""
    return [path(pattern, view, name=name), path(f"{pattern}/", view)]
