"""NUL is refused before anything looks it up: PostgreSQL's texts cannot hold it, so each lookup would be a 500.

Bodies are judged by their serializers and forms. A NUL of the wire itself never comes this far: the parser refuses it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from project.api.envelope import json_failure


class NulMiddleware:
    """400 for a NUL in path or query, percent-encoded, or in the session's cookie, where octal is read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return _refused(
                request,
                "The path or query holds a NUL character (%00), which no name here has. Leave it out.",
            )
        if "\\000" in request.META.get("HTTP_COOKIE", "") and "\0" in request.COOKIES.get(
            settings.SESSION_COOKIE_NAME, ""
        ):
            return _refused(
                request, "The session's cookie holds a NUL character (%00), so it is none of ours. Delete it."
            )
        return self.get_response(request)


def _refused(request: HttpRequest, message: str) -> HttpResponseBase:
    return json_failure(request, "INVALID_REQUEST", message, 400)
