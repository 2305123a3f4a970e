"""Cross-origin calls from browsers: closed, except to the API from the origins that the settings list.

Nothing here allows credentials: clients sign and operators' tools send a token; a session never
crosses origins.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

PATHS = ("/api/", "/openapi.json", "/.well-known/")
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
REQUEST_FIELDS = (
    "Accept, Accept-Signature, Authorization, Content-Digest, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
    "Signature, Signature-Input, X-Request-ID"
)
ANSWER_FIELDS = (
    "Accept-Signature, Content-Digest, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "Signature, Signature-Input, WWW-Authenticate, X-Request-ID"
)
PREFLIGHT_SECONDS = "600"


class CorsMiddleware:
    """Answers preflights and names the origin in answers, for listed origins only (Fetch standard)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        allowed = settings.DATAFOLD_CORS_ORIGINS
        if not allowed or not request.path_info.startswith(PATHS):
            return self.get_response(request)
        origin = request.META.get("HTTP_ORIGIN", "")
        listed = origin in allowed
        response = _preflight() if listed and _is_preflight(request) else self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if listed:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = ANSWER_FIELDS
            response["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response


def _is_preflight(request: HttpRequest) -> bool:
    return request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META


def _preflight() -> HttpResponseBase:
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = METHODS
    response["Access-Control-Allow-Headers"] = REQUEST_FIELDS
    response["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
    return response
