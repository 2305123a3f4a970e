"""Cursor pagination inside the envelope: `limit` and `cursor` in, `meta` out."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from project.api.envelope import ApiResponse
from project.db.replica import read_from_replica


class EnvelopeCursorPagination(CursorPagination):
    """`meta.count` is the number of items in this answer; a total would have to count the whole table."""

    page_size_query_param = "limit"
    max_page_size = 200
    ordering = "-id"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        paginate = super().paginate_queryset
        return read_from_replica(queryset, lambda rows: paginate(rows, request, view))

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


def _cursor(link: str | None) -> str | None:
    return parse_qs(urlsplit(link).query)["cursor"][0] if link else None
