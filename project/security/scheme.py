"""Django's own idea of the request follows ours: TLS that a trusted proxy ended is TLS.

Without it the redirect to HTTPS would never end behind a proxy. `SECURE_PROXY_SSL_HEADER` is not used:
it believes everybody.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from project.proxies import from_trusted_proxy, wire_host, wire_scheme


class TrustedProxyMiddleware:
    """Takes scheme and host over from a trusted proxy; from anyone else the fields mean nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if from_trusted_proxy(request):
            request.META["wsgi.url_scheme"] = wire_scheme(request)
            if host := wire_host(request):
                request.META["HTTP_HOST"] = host
        return self.get_response(request)
