"""Cursor pagination inside the envelope: `limit` and `cursor` in, `meta` out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import Model
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from project.api.envelope import ApiResponse
from project.db.replica import read_from_replica

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""Of documents in one answer, where a list shows them. One document that is larger is a page of its own."""


class EnvelopeCursorPagination(CursorPagination):
    """`meta.count` is the number of items in this answer; a total would have to count the whole table."""

    page_size_query_param = "limit"
    max_page_size = 200
    ordering = "-id"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """Raises DRF's ValidationError: `limit` or `cursor` is none."""
        self._model: type[Model] = queryset.model
        paginate = super().paginate_queryset
        return read_from_replica(queryset, lambda rows: paginate(rows, request, view))

    def get_page_size(self, request: Request) -> int | None:
        limit = request.query_params.get(self.page_size_query_param)
        if limit is None:
            return self.page_size
        if not (limit.isascii() and limit.isdigit() and int(limit[:20])):
            raise ValidationError({"limit": [f"A number of items, 1 to {self.max_page_size}."]})
        return min(int(limit[:20]), self.max_page_size)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                self._check_position(str(cursor.position))
        except (NotFound, ModelValidationError, ValueError, OverflowError) as error:
            raise ValidationError(
                {"cursor": ["Take it from `meta.pagination` of the page before."]}
            ) from error
        return cursor

    def _check_position(self, position: str) -> None:
        """A cursor is anybody's text: what it compares with must be a value of the column.

        Raises:
            ModelValidationError, ValueError, OverflowError
        """
        first = self.ordering if isinstance(self.ordering, str) else self.ordering[0]
        field: Any = self._model._meta.get_field(first.lstrip("-"))
        value = field.to_python(position)
        field.run_validators(value)
        if isinstance(value, datetime):
            value.astimezone(UTC)
        if isinstance(value, str) and "\0" in value:
            raise ValueError("a NUL, which PostgreSQL does not take")

    def get_paginated_response(self, data: Any) -> Response:
        following = self.get_next_link()
        return ApiResponse(
            data,
            meta={
                "count": len(data),
                "pagination": {
                    "limit": self.page_size,
                    "next_cursor": _cursor(following),
                    "previous_cursor": _cursor(self.get_previous_link()),
                    "has_more": following is not None,
                },
            },
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema


class WeighedCursorPagination(EnvelopeCursorPagination):
    """Ends a page before its documents weigh over `MAX_PAGE_BYTES`; the cursors lead on from there.

    They are weighed in the database first: a page of the largest ones would fill the server's memory.
    """

    weight: Any
    """What a row's documents weigh, as an expression."""
    documents: tuple[str, ...] = ()
    """Columns of the row that hold them; none where they are elsewhere."""

    _fitting = EnvelopeCursorPagination.max_page_size

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        light = queryset.annotate(page_weight=self.weight).defer(*self.documents)
        rows = super().paginate_queryset(light, request, view) or []
        # A page that leads backwards grows backwards from its cursor.
        self._fitting = _fitting(reversed(rows) if self.cursor and self.cursor.reverse else rows)
        if len(rows) <= self._fitting and not self.documents:
            return rows
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int | None:
        asked = super().get_page_size(request)
        return min(asked, self._fitting) if asked else asked


def _fitting(rows: Iterable[Any]) -> int:
    """How many of the rows a page has room for: one at least, and any number where all of them fit."""
    total = 0
    for number, row in enumerate(rows):
        total += row.page_weight or 0
        if total > MAX_PAGE_BYTES:
            return max(number, 1)
    return EnvelopeCursorPagination.max_page_size


def _cursor(link: str | None) -> str | None:
    return parse_qs(urlsplit(link).query)["cursor"][0] if link else None
