"""Operators' calls about clients."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import OPERATOR_ERRORS, NotFound, OperatorView, actor, model_errors
from accounts.api.serializers import (
    ChangeClientSerializer,
    ClientFilter,
    ClientSerializer,
    CreateClientSerializer,
    ReasonSerializer,
)
from accounts.clients import change_client, create_client, reactivate_client, suspend_client
from accounts.models import Client, User
from project.api.envelope import ApiResponse
from project.api.openapi import PAGE, enveloped

TAGS: Final = ["operators: clients"]
ONE_ERRORS = [*OPERATOR_ERRORS, "NOT_FOUND"]
DECISION_ERRORS = [*ONE_ERRORS, "CLIENT_STATE_CONFLICT", "REASON_MISSING", "VALIDATION_FAILED"]


class ClientsView(OperatorView):
    permissions = {"GET": "accounts.view_client", "POST": "accounts.add_client"}
    ordering = "client_id"

    @extend_schema(
        operation_id="operators_clients_list",
        tags=TAGS,
        summary="List clients",
        parameters=[*PAGE, ClientFilter],
        responses=enveloped(ClientSerializer, many=True, errors=[*OPERATOR_ERRORS, "VALIDATION_FAILED"]),
    )
    def get(self, request: Request) -> Response:
        wanted = self.filters(ClientFilter)
        rows = Client.objects.select_related("owner", "registered_by")
        for name, lookup in FILTERS.items():
            if name in wanted:
                rows = rows.filter(**{lookup: wanted[name]})
        return self.page(rows, ClientSerializer)

    @extend_schema(
        tags=TAGS,
        summary="Create a client without a key",
        description="Issue an enrolment token for it next.",
        request=CreateClientSerializer,
        responses=enveloped(ClientSerializer, status=201, errors=[*OPERATOR_ERRORS, "VALIDATION_FAILED"]),
    )
    def post(self, request: Request) -> ApiResponse:
        wish = self.body(CreateClientSerializer)
        wish.pop("reason", None)
        with model_errors():
            client = create_client(actor=actor(request), **with_owner(wish))
        return changed(request, client, "client_created", status=201)


class ClientView(OperatorView):
    permissions = {"GET": "accounts.view_client", "PATCH": "accounts.change_client"}

    @extend_schema(tags=TAGS, summary="One client", responses=enveloped(ClientSerializer, errors=ONE_ERRORS))
    def get(self, request: Request, client_id: str) -> ApiResponse:
        return ApiResponse(ClientSerializer(machine(client_id)).data)

    @extend_schema(
        tags=TAGS,
        summary="Change a client's scopes, profile, networks, rate limit, owner, name, contact or metadata",
        request=ChangeClientSerializer,
        responses=enveloped(ClientSerializer, errors=[*ONE_ERRORS, "VALIDATION_FAILED"]),
    )
    def patch(self, request: Request, client_id: str) -> ApiResponse:
        wish = self.body(ChangeClientSerializer)
        reason = wish.pop("reason", "")
        with model_errors():
            client = change_client(
                machine(client_id), actor=actor(request), changes=with_owner(wish), reason=reason
            )
        return changed(request, client, "client_changed")


class ClientSuspendView(OperatorView):
    permissions = {"POST": "accounts.suspend_client"}

    @extend_schema(
        tags=TAGS,
        summary="Suspend a client: none of its keys verifies from the next request on",
        request=ReasonSerializer,
        responses=enveloped(ClientSerializer, errors=DECISION_ERRORS),
    )
    def post(self, request: Request, client_id: str) -> ApiResponse:
        reason = self.body(ReasonSerializer).get("reason", "")
        client = suspend_client(machine(client_id), actor=actor(request), reason=reason)
        return changed(request, client, "client_suspended")


class ClientReactivateView(OperatorView):
    permissions = {"POST": "accounts.suspend_client"}

    @extend_schema(
        tags=TAGS,
        summary="Reactivate a suspended client; needs a reason",
        request=ReasonSerializer,
        responses=enveloped(ClientSerializer, errors=DECISION_ERRORS),
    )
    def post(self, request: Request, client_id: str) -> ApiResponse:
        reason = self.body(ReasonSerializer).get("reason", "")
        client = reactivate_client(machine(client_id), actor=actor(request), reason=reason)
        return changed(request, client, "client_reactivated")


FILTERS = {
    "status": "status",
    "profile": "profile",
    "owner": "owner__username",
    "client_id": "client_id__startswith",
}


def machine(client_id: str) -> Client:
    """Raises `NotFound`."""
    client = Client.objects.select_related("owner", "registered_by").filter(client_id=client_id).first()
    if client is None:
        raise NotFound(f"There is no client {client_id[:64]!r}.")
    return client


def with_owner(wish: dict[str, Any]) -> dict[str, Any]:
    """The wish with the owner's name replaced by the operator."""
    if not wish.get("owner"):
        return {**wish, "owner": None} if "owner" in wish else wish
    owner = User.objects.filter(username=wish["owner"], is_active=True).first()
    if owner is None:
        raise serializers.ValidationError({"owner": ["There is no active operator of this name."]})
    return {**wish, "owner": owner}


def changed(request: Request, client: Client, action: str, *, status: int = 200) -> ApiResponse:
    data = ClientSerializer(machine(client.client_id)).data
    return ApiResponse(
        data, status=status, meta={"action": action, "created_by": request.user.get_username()}
    )
