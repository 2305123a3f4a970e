"""A trailing slash of an API path is accepted and not needed."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase


class TrailingSlashMiddleware:
    """Drops it for routing only: what was signed is the target as it stood on the wire.

    Rejected: a second URL pattern for each call, which doubles the patterns that every request is held against.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if path.endswith("/") and path.startswith("/api/") and not path.endswith("//"):
            request.path_info = path[:-1]
        return self.get_response(request)
