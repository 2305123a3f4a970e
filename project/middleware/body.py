"""Bodies are bounded before a byte of them is in memory."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from project.api.envelope import json_failure
from project.uploads import is_upload


class BodyLimitMiddleware:
    """413 over the limit; 411 for chunks, of which Django's WSGI handler would see an empty body."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return refuse_body(request, body_limit(request)) or self.get_response(request)


def body_limit(request: HttpRequest) -> int:
    """How many bytes the request may carry. An upload is streamed to disk, not read into memory."""
    return settings.DATAFOLD_MAX_UPLOAD_BYTES if is_upload(request) else settings.DATAFOLD_MAX_BODY_BYTES


def refuse_body(request: HttpRequest, limit: int) -> HttpResponseBase | None:
    """The refusal that the body's framing earns, or None."""
    if "HTTP_TRANSFER_ENCODING" in request.META:
        return json_failure(
            request,
            "LENGTH_REQUIRED",
            "The body came without a Content-Length. Send it in one piece with its length.",
            411,
        )
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        return json_failure(request, "INVALID_REQUEST", "Content-Length is not a number of bytes.", 400)
    if int(length[:20]) > limit:
        return json_failure(
            request,
            "BODY_TOO_LARGE",
            f"The body has {length[:20]} bytes; this call takes at most {limit}.",
            413,
            {"limit": limit},
        )
    return None
