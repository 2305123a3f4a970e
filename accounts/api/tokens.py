"""POST operators/tokens, …/refresh, …/revoke, and GET operators/me"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.base import OPERATOR_ERRORS, OperatorView, acting_operator, judged
from accounts.authentication import second_factor, sso
from accounts.authentication.errors import (
    CredentialsInvalid,
    SchemesMixed,
    SecondFactorRequired,
)
from accounts.authentication.guesses import claim_password
from accounts.authentication.lockout import refuse_locked
from accounts.authentication.middleware import MIXED
from accounts.authentication.rest import accepted
from accounts.authentication.tokens import Tokens, issue_tokens, refresh_tokens, revoke_tokens
from accounts.models import User
from keys.api.serializers import PlainCharField, StrictSerializer
from keys.api.throttles import AddressThrottle
from keys.wire import claims_signature
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped


class LoginThrottle(AddressThrottle):
    setting = "DATAFOLD_LOGIN_RATE"
    subject = "operator-login"


class LoginSerializer(StrictSerializer):
    username = PlainCharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, write_only=True)
    code = PlainCharField(
        required=False,
        max_length=40,
        write_only=True,
        help_text="Of the authenticator app, or a recovery code.",
    )


class RefreshTokenSerializer(StrictSerializer):
    refresh_token = PlainCharField(max_length=4096)


class TokensSerializer(serializers.Serializer[Any]):
    access_token = serializers.CharField()
    token_type = serializers.CharField(default="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds that the access token lives.")
    refresh_token = serializers.CharField(help_text="Good for one refresh; the answer brings the next one.")
    login_ends_at = serializers.DateTimeField(help_text="Then no refresh helps: log in again.")


class RevokedSerializer(serializers.Serializer[Any]):
    revoked = serializers.BooleanField()


class MeSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    username = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())
    permissions = serializers.ListField(child=serializers.CharField())
    second_factor = serializers.BooleanField()
    authentication_method = serializers.CharField()


class TokenCall(APIView):
    """No authentication but what the body holds; a signed request is somebody else's."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [LoginThrottle]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if claims_signature(request._request):
            raise SchemesMixed(MIXED.replace("an Authorization: Bearer token", "an operator's login"))


class TokensView(TokenCall):
    @extend_schema(
        tags=["operators: login"],
        summary="Log in for a pair of tokens",
        description="`code` is due when the operator has a second factor, and always where the server demands one. "
        "Where it demands single sign-on, no password counts.",
        request=LoginSerializer,
        responses=enveloped(
            TokensSerializer,
            errors=[
                "CREDENTIALS_INVALID",
                "LOGIN_LOCKED",
                "SECOND_FACTOR_REQUIRED",
                "SECOND_FACTOR_INVALID",
                "SECOND_FACTOR_MISSING",
                "SINGLE_SIGN_ON_REQUIRED",
                "VALIDATION_FAILED",
            ],
        ),
    )
    def post(self, request: Request) -> ApiResponse:
        login = judged(LoginSerializer, request.data)
        sso.refuse_without(login["username"])
        user = check_password(request._request, login["username"], login["password"])
        methods = ["password", *check_second_factor(request._request, user, login.get("code", ""))]
        tokens = issue_tokens(request._request, user, methods=methods)
        return ApiResponse(
            as_data(tokens), meta={"action": "operator_logged_in", "created_by": user.get_username()}
        )


class RefreshView(TokenCall):
    @extend_schema(
        tags=["operators: login"],
        summary="Spend a refresh token for a new pair",
        description="A refresh token that comes a second time revokes every token of its login.",
        request=RefreshTokenSerializer,
        responses=enveloped(TokensSerializer, errors=["TOKEN_INVALID", "TOKEN_REUSED", "VALIDATION_FAILED"]),
    )
    def post(self, request: Request) -> ApiResponse:
        tokens = refresh_tokens(judged(RefreshTokenSerializer, request.data)["refresh_token"])
        return ApiResponse(as_data(tokens), meta={"action": "tokens_refreshed"})


class RevokeView(TokenCall):
    @extend_schema(
        tags=["operators: login"],
        summary="End a login and every token of it",
        description="As RFC 7009: a token that is revoked or unknown already is no error.",
        request=RefreshTokenSerializer,
        responses=enveloped(RevokedSerializer, errors=["VALIDATION_FAILED"]),
    )
    def post(self, request: Request) -> ApiResponse:
        revoked = revoke_tokens(judged(RefreshTokenSerializer, request.data)["refresh_token"])
        return ApiResponse({"revoked": revoked}, meta={"action": "tokens_revoked"})


class MeView(OperatorView):
    permissions = {"GET": ""}

    @extend_schema(
        tags=["operators: login"],
        summary="Who I am and what I may do",
        responses=enveloped(MeSerializer, errors=OPERATOR_ERRORS),
    )
    def get(self, request: Request) -> ApiResponse:
        user = acting_operator(request)
        return ApiResponse(
            {
                "id": user.pk,
                "username": user.get_username(),
                "name": user.get_full_name(),
                "email": user.email,
                "roles": [role.value for role in user.roles],
                "permissions": sorted(user.get_all_permissions()),
                "second_factor": second_factor.has_second_factor(user),
                "authentication_method": "token" if request.auth else "session",
            }
        )


def check_password(request: HttpRequest, username: str, password: str) -> User:
    """The operator. Raises `CredentialsInvalid`, `LoginLocked`, `ReplayCheckUnavailable`."""
    refuse_locked(request, username)  # first: what the lock refuses unseen is no guess
    succeeded = claim_password(request, username)
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        refuse_locked(request, username)
        raise CredentialsInvalid(
            "No active operator has this name and password. After some failures the name is locked for this address."
        )
    succeeded()
    return user


def check_second_factor(request: HttpRequest, user: User, code: str) -> list[str]:
    """What the operator proved besides the password: [] where nothing is due.

    Raises:
        SecondFactorMissing, SecondFactorRequired, SecondFactorInvalid, LoginLocked, ReplayCheckUnavailable
    """
    accepted(user)
    if not second_factor.has_second_factor(user):
        return []
    if not code:
        raise SecondFactorRequired(
            "A second factor is due: send `code` from the authenticator app, or a recovery code. A passkey works only "
            "in a browser."
        )
    return [str(second_factor.check_code(request, user, code).type)]


def as_data(tokens: Tokens) -> dict[str, Any]:
    return {
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "login_ends_at": tokens.login_ends_at,
    }
