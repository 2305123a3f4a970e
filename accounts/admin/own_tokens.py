"""Tokens for an operator's own programs, from the browser: under DATAFOLD_REQUIRE_SSO the only way to them."""

from __future__ import annotations

from typing import Any

from allauth.account.authentication import get_authentication_records
from django.contrib.admin import AdminSite
from django.contrib.auth import BACKEND_SESSION_KEY
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.authentication.tokens import issue_tokens
from project.admin_base import operator


def own_tokens_view(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """A page that asks, then a POST whose answer shows the pair: the only time that anybody sees it.

    The tokens are a login of their own, with what this session proved. They outlive its end, but not a new password or
    the account's deactivation.
    """
    user: Any = operator(request).user
    if not user.roles:
        raise PermissionDenied
    tokens = None
    if request.method == "POST":
        user.backend = request.session[BACKEND_SESSION_KEY]
        proven = get_authentication_records(request, user)
        tokens = issue_tokens(request, user, methods=[each.get("type") or each["method"] for each in proven])
    context = {
        **site.each_context(request),
        "title": "Tokens for your programs",
        "tokens": tokens,
        "origin": request.build_absolute_uri("/").rstrip("/"),
    }
    response = TemplateResponse(request, "admin/own_tokens.html", context)
    response["Cache-Control"] = "no-store"
    return response
