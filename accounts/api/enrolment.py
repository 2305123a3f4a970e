"""Operators' calls about enrolment tokens: single-use invitations to register a key."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import OPERATOR_ERRORS, OperatorView, acting_operator
from accounts.api.clients import machine
from accounts.api.serializers import (
    EnrolmentTokenFilter,
    EnrolmentTokenSerializer,
    IssuedTokenSerializer,
    IssueTokenSerializer,
)
from keys.models import EnrolmentToken
from keys.registration import issue_token
from project.api.envelope import ApiResponse
from project.api.openapi import PAGE, enveloped

TAGS: Final = ["operators: enrolment"]


class EnrolmentTokensView(OperatorView):
    permissions = {"GET": "keys.view_enrolmenttoken", "POST": "keys.add_enrolmenttoken"}

    @extend_schema(
        operation_id="operators_enrolment_tokens_list",
        tags=TAGS,
        summary="List enrolment tokens",
        parameters=[*PAGE, EnrolmentTokenFilter],
        responses=enveloped(
            EnrolmentTokenSerializer, many=True, errors=[*OPERATOR_ERRORS, "VALIDATION_FAILED"]
        ),
    )
    def get(self, request: Request) -> Response:
        wanted = self.filters(EnrolmentTokenFilter)
        rows = EnrolmentToken.objects.select_related("client", "issued_by")
        if "client_id" in wanted:
            rows = rows.filter(client__client_id=wanted["client_id"])
        if "used" in wanted:
            rows = rows.filter(used_at__isnull=not wanted["used"])
        return self.page(rows, EnrolmentTokenSerializer)

    @extend_schema(
        tags=TAGS,
        summary="Issue an enrolment token",
        description="The token is shown in this answer and never again.",
        request=IssueTokenSerializer,
        responses=enveloped(
            IssuedTokenSerializer, status=201, errors=[*OPERATOR_ERRORS, "NOT_FOUND", "VALIDATION_FAILED"]
        ),
    )
    def post(self, request: Request) -> ApiResponse:
        wish = self.body(IssueTokenSerializer)
        operator = acting_operator(request)
        row, token = issue_token(
            issued_by=operator,
            client=machine(wish["client_id"]) if wish.get("client_id") else None,
            note=wish.get("note", ""),
            lifetime=timedelta(hours=wish["lifetime_hours"]),
        )
        return ApiResponse(
            {**EnrolmentTokenSerializer(row).data, "token": token},
            status=201,
            meta={"action": "enrolment_token_issued", "created_by": operator.get_username()},
        )
