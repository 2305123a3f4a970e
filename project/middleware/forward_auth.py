"""Forward auth is answered before anything that is meant for requests to this server itself.

The question may carry the Host of another application, comes over plain HTTP from inside, and with any
method: host validation, the redirect to HTTPS, sessions and CSRF are about other requests.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve

from keys.api.authorize import AuthorizeView
from keys.forward_auth import asks_for_authorization


class ForwardAuthMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.answer = AuthorizeView.as_view()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not asks_for_authorization(request):
            return self.get_response(request)
        request.resolver_match = resolve("/api/v1/authorize")
        response = self.answer(request)
        return response.render() if hasattr(response, "render") else response
