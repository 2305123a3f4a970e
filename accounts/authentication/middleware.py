"""Two rules for every request: one authentication scheme, and a second factor where it is demanded."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.authentication.second_factor import lacks_second_factor
from accounts.models import User
from keys.wire import claims_signature
from project.api.catalogue import status_of
from project.api.envelope import json_failure
from project.errors import DomainError

GetResponse = Callable[[HttpRequest], HttpResponseBase]
MIXED = (
    "The request carries a Signature and an Authorization: Bearer token: it would be a client's and an operator's at "
    "once. Send one of the two."
)


def claims_operator_token(request: HttpRequest) -> bool:
    scheme: str = request.META.get("HTTP_AUTHORIZATION", "")[:7]
    return scheme.strip().lower() == "bearer"


class OneSchemeMiddleware:
    """400 for a request that is signed and carries an operator's token, on every path."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if claims_signature(request) and claims_operator_token(request):
            return json_failure(request, "SCHEMES_MIXED", MIXED, status_of("SCHEMES_MIXED"))
        return self.get_response(request)


class SecondFactorMiddleware:
    """Sends an operator without a second factor to set one up before anything else in the admin."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.DATAFOLD_REQUIRE_MFA and self._in_admin(request):
            user = request.user
            if isinstance(user, User) and lacks_second_factor(user):
                messages.warning(request, "This server demands a second factor. Set one up to go on.")
                return redirect("mfa_index")
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """A refusal of the domain on the account's pages is a page; elsewhere it is somebody else's."""
        pages = reverse("account_login").removesuffix("login/")
        if not isinstance(exception, DomainError) or not request.path.startswith(pages):
            return None
        status = status_of(exception.code)
        page = render(request, "account/problem.html", {"message": exception.message}, status=status)
        if seconds := exception.details.get("retry_after"):
            page["Retry-After"] = str(seconds)
        return page

    def _in_admin(self, request: HttpRequest) -> bool:
        admin = reverse("admin:index")
        return request.path.startswith(admin) and request.path != reverse("admin:logout")
