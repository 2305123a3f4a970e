"""How an operator's REST call is authenticated: by token, or by the admin's session with CSRF."""

from __future__ import annotations

from typing import Any

from allauth.headless.contrib.rest_framework.authentication import JWTTokenAuthentication
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.authentication.errors import CsrfFailed, SchemesMixed, SecondFactorMissing, TokenInvalid
from accounts.authentication.middleware import MIXED, claims_operator_token
from accounts.authentication.second_factor import lacks_second_factor
from accounts.authentication.tokens import INVALID, MAX_TOKEN_LENGTH
from accounts.models import User
from keys.wire import claims_signature
from project.context import current_context


class OperatorTokenAuthentication(JWTTokenAuthentication):  # type: ignore[misc]
    """`Authorization: Bearer <access token>`. Session and operator are read from the database every time."""

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        if not claims_operator_token(request._request):
            return None
        token = request.META["HTTP_AUTHORIZATION"][7:].strip()
        if not token or len(token) > MAX_TOKEN_LENGTH:
            raise TokenInvalid(INVALID)
        try:
            user, claims = self.authenticate_credentials(token)
        except AuthenticationFailed as error:
            raise TokenInvalid(INVALID) from error
        return accepted(user), claims

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="operators"'


class OperatorSessionAuthentication(SessionAuthentication):
    """The session of the admin, for its own pages: every call that writes needs the CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        user = getattr(request._request, "user", None)
        if not isinstance(user, User) or not user.is_active:
            return None
        if claims_signature(request._request):
            raise SchemesMixed(MIXED.replace("an Authorization: Bearer token", "an operator's session"))
        self.enforce_csrf(request)
        return accepted(user), None

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise CsrfFailed(
                "A call by session needs the CSRF token: send the cookie's value in X-CSRFToken, from our own origin."
            ) from error


def accepted(user: User) -> User:
    """The operator, unless a second factor is demanded and missing."""
    if lacks_second_factor(user):
        raise SecondFactorMissing(
            "This server demands a second factor, and you have none. Sign in with a browser and set one up under "
            "/account/2fa/."
        )
    current_context().log_fields["operator"] = user.get_username()
    return user
