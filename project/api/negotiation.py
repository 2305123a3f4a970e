"""Content negotiation for answers that come in one form only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_ANYTHING = frozenset({"", "*/*"})


class ContentNegotiation(DefaultContentNegotiation):
    """DRF's own, which takes its time even where the view has one renderer and the caller no wish."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> Any:
        if format_suffix is None and request.META.get("HTTP_ACCEPT", "") in _ANYTHING:
            first = next(iter(renderers))
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)
