"""What every operators' call has in common: who may make it, filters, pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import openapi  # noqa: F401  how the document names the operators' ways in
from accounts.audit import Actor, record_refused
from accounts.authentication.errors import NotAuthenticated, OperatorAuthError
from accounts.authentication.rest import OperatorSessionAuthentication, OperatorTokenAuthentication
from accounts.models import User
from keys.api.serializers import StrictSerializer
from project.api.pagination import EnvelopeCursorPagination
from project.errors import DomainError

AnyModel = TypeVar("AnyModel", bound=Model)

MAX_ID = 2**63  # a larger one overflows the database's integer
OPERATOR_ERRORS = ["NOT_AUTHENTICATED", "TOKEN_INVALID", "PERMISSION_DENIED"]


class PermissionMissing(DomainError):
    """The operator's role does not hold the permission."""

    code = "PERMISSION_DENIED"


class NotFound(DomainError):
    """There is no such thing; told only to who may see things of that kind."""

    code = "NOT_FOUND"


class HoldsPermission(BasePermission):
    """The permission that the view's `permissions` names for the method; "" is every operator's."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = acting_operator(request)
        if request.method == "OPTIONS" or not hasattr(view, (request.method or "").lower()):
            return True  # the metadata, or the 405 that follows
        permissions: Mapping[str, str] = getattr(view, "permissions", {})
        needed = permissions["GET" if request.method == "HEAD" else str(request.method)]
        if needed and not user.has_perm(needed):
            raise PermissionMissing(
                f"Your role does not hold the permission {needed} that this call needs. Ask an admin.",
                permission=needed,
            )
        return True


class OperatorView(APIView):
    """A call for operators. `permissions` maps the HTTP method to a permission of Django's."""

    authentication_classes = [OperatorTokenAuthentication, OperatorSessionAuthentication]
    permission_classes = [HoldsPermission]
    permissions: Mapping[str, str] = {}
    ordering: str | tuple[str, ...] = "-id"

    def handle_exception(self, exc: Exception) -> Response:
        """As DRF's; what an operator tried to change and was refused is on record."""
        refused = exc if isinstance(exc, DomainError) and not isinstance(exc, OperatorAuthError) else None
        if refused and self.request.method not in SAFE_METHODS and isinstance(self.request.user, User):
            self.note_refusal(self.request.user, refused.code)
        return super().handle_exception(exc)

    def note_refusal(self, user: User, code: str) -> None:
        """Overridden where the refusal goes on record in another way."""
        record_refused(user=user, call=f"{self.request.method} {self.request.path}", code=code)

    def page(self, rows: QuerySet[AnyModel], serializer: type[serializers.BaseSerializer[Any]]) -> Response:
        """One page of `rows`, which must be ordered by an index."""
        paginator = EnvelopeCursorPagination()
        paginator.ordering = self.ordering  # type: ignore[assignment]  # DRF takes a tuple as well
        found = paginator.paginate_queryset(rows, self.request, view=self)
        return paginator.get_paginated_response(serializer(found, many=True).data)

    def filters(self, serializer: type[StrictSerializer]) -> dict[str, Any]:
        """The query's filters, judged like a body: an unknown or misspelt one is refused, not ignored."""
        query = {
            name: value
            for name, value in self.request.query_params.dict().items()
            if name not in ("limit", "cursor")
        }
        return judged(serializer, query)

    def body(self, serializer: type[serializers.BaseSerializer[Any]]) -> dict[str, Any]:
        return judged(serializer, self.request.data)


def acting_operator(request: Request) -> User:
    """Raises `NotAuthenticated`: nobody is signed in, or not as an operator."""
    user = request.user
    if not isinstance(user, User):
        raise NotAuthenticated(
            "This call is for operators. Send an access token as Authorization: Bearer (POST operators/tokens); a "
            "client's signature does not count here."
        )
    return user


def actor(request: Request) -> Actor:
    """The operator, for the audit log."""
    return Actor.operator(acting_operator(request))


def judged(serializer: type[serializers.BaseSerializer[Any]], data: Any) -> dict[str, Any]:
    """The validated content. Raises DRF's ValidationError."""
    content = serializer(data=data)
    content.is_valid(raise_exception=True)
    return dict(content.validated_data)


@contextmanager
def model_errors() -> Iterator[None]:
    """Django's ValidationError of a service, as DRF's: 422 with every field."""
    try:
        yield
    except ValidationError as error:
        detail = error.message_dict if hasattr(error, "error_dict") else {"non_field_errors": error.messages}
        raise serializers.ValidationError(detail) from error
