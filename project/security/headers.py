"""Security headers on every answer, whoever made it: view, middleware, static file or error handler."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from project.security.policy import policy_for

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), interest-cohort=()",
}


class SecurityHeadersMiddleware:
    """Sets what is not set yet. Strict-Transport-Security comes from Django, which knows of TLS."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        headers = response.headers
        for name, value in HEADERS.items():
            # drf-spectacular opens its page to others' windows, for a way of login that we do not have.
            if name not in headers or name == "Cross-Origin-Opener-Policy":
                headers[name] = value
        if "Content-Security-Policy" not in headers:
            headers["Content-Security-Policy"] = policy_for(request, response)
        if "Cache-Control" not in headers and not request.path_info.startswith("/static/"):
            headers["Cache-Control"] = "no-store" if _is_personal(request) else "no-cache"
        return response


def _is_personal(request: HttpRequest) -> bool:
    """Whether the answer may hold what only this caller may read."""
    return request.path_info.startswith(("/api/", "/admin/", "/account/", "/health/detailed"))
