"""Operators' calls about operators: everybody with a role looks, admins change."""

from __future__ import annotations

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import account_help, operators
from accounts.api.base import MAX_ID, OPERATOR_ERRORS, NotFound, OperatorView, actor, model_errors
from accounts.api.serializers import (
    ChangeRoleSerializer,
    CreateOperatorSerializer,
    NewOperatorSerializer,
    OperatorFilter,
    OperatorSerializer,
    ReasonSerializer,
    SetPasswordSerializer,
)
from accounts.authentication.second_factor import STRONG
from accounts.models import User
from accounts.roles import Role
from project.api.envelope import ApiResponse
from project.api.openapi import PAGE, enveloped

TAGS: Final = ["operators: people"]
CHANGE_ERRORS = [*OPERATOR_ERRORS, "NOT_FOUND", "OWN_ACCOUNT", "LAST_ADMIN", "VALIDATION_FAILED"]


class UsersView(OperatorView):
    permissions = {"GET": "accounts.view_user", "POST": "accounts.add_user"}

    @extend_schema(
        operation_id="operators_users_list",
        tags=TAGS,
        summary="List operators",
        parameters=[*PAGE, OperatorFilter],
        responses=enveloped(OperatorSerializer, many=True, errors=[*OPERATOR_ERRORS, "VALIDATION_FAILED"]),
    )
    def get(self, request: Request) -> Response:
        wanted = self.filters(OperatorFilter)
        rows = people()
        if "is_active" in wanted:
            rows = rows.filter(is_active=wanted["is_active"])
        if "role" in wanted:
            rows = rows.filter(groups__name=wanted["role"])
        if "username" in wanted:
            rows = rows.filter(username__icontains=wanted["username"])
        return self.page(rows, OperatorSerializer)

    @extend_schema(
        tags=TAGS,
        summary="Create an operator",
        request=CreateOperatorSerializer,
        responses=enveloped(
            NewOperatorSerializer,
            status=201,
            errors=[*OPERATOR_ERRORS, "USERNAME_TAKEN", "VALIDATION_FAILED"],
        ),
    )
    def post(self, request: Request) -> ApiResponse:
        wish = self.body(CreateOperatorSerializer)
        role = wish.pop("role", None)
        with model_errors():
            user, password = operators.create_operator(
                actor=actor(request), role=Role(role) if role else None, **wish
            )
        shown = None if "password" in wish else password
        return changed(request, user, "operator_created", status=201, password=shown)


class UserView(OperatorView):
    permissions = {"GET": "accounts.view_user"}

    @extend_schema(
        tags=TAGS,
        summary="One operator",
        responses=enveloped(OperatorSerializer, errors=[*OPERATOR_ERRORS, "NOT_FOUND"]),
    )
    def get(self, request: Request, user_id: int) -> ApiResponse:
        return ApiResponse(OperatorSerializer(person(user_id)).data)


class UserRoleView(OperatorView):
    permissions = {"POST": "accounts.change_user"}

    @extend_schema(
        tags=TAGS,
        summary="Change an operator's role",
        description="It counts from the operator's next request on. A role that may do more needs a reason.",
        request=ChangeRoleSerializer,
        responses=enveloped(OperatorSerializer, errors=[*CHANGE_ERRORS, "REASON_MISSING"]),
    )
    def post(self, request: Request, user_id: int) -> ApiResponse:
        wish = self.body(ChangeRoleSerializer)
        role = Role(wish["role"]) if wish["role"] else None
        user = operators.change_role(
            person(user_id), actor=actor(request), role=role, reason=wish.get("reason", "")
        )
        return changed(request, user, "role_changed")


class UserDeactivateView(OperatorView):
    permissions = {"POST": "accounts.change_user"}

    @extend_schema(
        tags=TAGS,
        summary="Deactivate an operator",
        description="Sessions and tokens end at once.",
        request=ReasonSerializer,
        responses=enveloped(OperatorSerializer, errors=[*CHANGE_ERRORS, "OPERATOR_STATE_CONFLICT"]),
    )
    def post(self, request: Request, user_id: int) -> ApiResponse:
        reason = self.body(ReasonSerializer).get("reason", "")
        user = operators.deactivate_operator(person(user_id), actor=actor(request), reason=reason)
        return changed(request, user, "operator_deactivated")


class UserReactivateView(OperatorView):
    permissions = {"POST": "accounts.change_user"}

    @extend_schema(
        tags=TAGS,
        summary="Let a deactivated operator in again; needs a reason",
        request=ReasonSerializer,
        responses=enveloped(
            OperatorSerializer, errors=[*CHANGE_ERRORS, "OPERATOR_STATE_CONFLICT", "REASON_MISSING"]
        ),
    )
    def post(self, request: Request, user_id: int) -> ApiResponse:
        reason = self.body(ReasonSerializer).get("reason", "")
        user = operators.reactivate_operator(person(user_id), actor=actor(request), reason=reason)
        return changed(request, user, "operator_reactivated")


class UserPasswordView(OperatorView):
    permissions = {"POST": "accounts.change_user"}

    @extend_schema(
        tags=TAGS,
        summary="Set an operator's password",
        description="Sessions and tokens end at once.",
        request=SetPasswordSerializer,
        responses=enveloped(NewOperatorSerializer, errors=CHANGE_ERRORS),
    )
    def post(self, request: Request, user_id: int) -> ApiResponse:
        wish = self.body(SetPasswordSerializer)
        user = person(user_id)
        if user.pk == request.user.pk:
            raise operators.OwnAccount("Change your own password in the browser: it asks for the old one.")
        with model_errors():
            password = operators.set_password(
                user, actor=actor(request), password=wish.get("password"), reason=wish.get("reason", "")
            )
        return changed(request, user, "password_set", password=None if "password" in wish else password)


class UserResetSecondFactorView(OperatorView):
    permissions = {"POST": "accounts.change_user"}

    @extend_schema(
        tags=TAGS,
        summary="Take an operator's second factor away; needs a reason",
        description="For who lost it: app, passkeys and recovery codes. Sessions and tokens end at once.",
        request=ReasonSerializer,
        responses=enveloped(OperatorSerializer, errors=[*CHANGE_ERRORS, "REASON_MISSING"]),
    )
    def post(self, request: Request, user_id: int) -> ApiResponse:
        reason = self.body(ReasonSerializer).get("reason", "")
        user = person(user_id)
        account_help.reset_second_factor(user, actor=actor(request), reason=reason)
        return changed(request, user, "second_factor_reset")


class UserUnlockView(OperatorView):
    permissions = {"POST": "accounts.change_user"}

    @extend_schema(
        tags=TAGS,
        summary="Let an operator try again who is locked out after failed logins; needs a reason",
        request=ReasonSerializer,
        responses=enveloped(
            OperatorSerializer, errors=[*CHANGE_ERRORS, "OPERATOR_STATE_CONFLICT", "REASON_MISSING"]
        ),
    )
    def post(self, request: Request, user_id: int) -> ApiResponse:
        reason = self.body(ReasonSerializer).get("reason", "")
        user = person(user_id)
        account_help.unlock_operator(user, actor=actor(request), reason=reason)
        return changed(request, user, "operator_unlocked")


def people() -> QuerySet[User]:
    factor = Authenticator.objects.filter(user_id=OuterRef("pk"), type__in=STRONG)
    return User.objects.prefetch_related("groups").annotate(second_factor=Exists(factor))


def person(user_id: int) -> User:
    """Raises `NotFound`."""
    user = people().filter(pk=user_id).first() if user_id < MAX_ID else None
    if user is None:
        raise NotFound("There is no such operator.")
    return user


def changed(request: Request, user: User, action: str, *, status: int = 200, **more: Any) -> ApiResponse:
    """The operator as it is now."""
    data = {**OperatorSerializer(person(user.pk)).data, **more}
    return ApiResponse(
        data, status=status, meta={"action": action, "created_by": request.user.get_username()}
    )
