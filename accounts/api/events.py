"""Operators' calls to read the audit log."""

from __future__ import annotations

from typing import Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import MAX_ID, OPERATOR_ERRORS, NotFound, OperatorView
from accounts.api.serializers import AuditEventFilter, AuditEventSerializer
from accounts.models import AuditEvent
from project.api.envelope import ApiResponse
from project.api.openapi import PAGE, enveloped

TAGS: Final = ["operators: audit log"]
RANGES = {"since": "created_at__gte", "until": "created_at__lt"}


class AuditEventsView(OperatorView):
    permissions = {"GET": "accounts.view_auditevent"}

    @extend_schema(
        operation_id="operators_audit_events_list",
        tags=TAGS,
        summary="List audit events, newest first",
        parameters=[*PAGE, AuditEventFilter],
        responses=enveloped(AuditEventSerializer, many=True, errors=[*OPERATOR_ERRORS, "VALIDATION_FAILED"]),
    )
    def get(self, request: Request) -> Response:
        wanted = self.filters(AuditEventFilter)
        rows = AuditEvent.objects.filter(**{RANGES.get(name, name): value for name, value in wanted.items()})
        return self.page(rows, AuditEventSerializer)


class AuditEventView(OperatorView):
    permissions = {"GET": "accounts.view_auditevent"}

    @extend_schema(
        tags=TAGS,
        summary="One audit event",
        responses=enveloped(AuditEventSerializer, errors=[*OPERATOR_ERRORS, "NOT_FOUND"]),
    )
    def get(self, request: Request, event_id: int) -> ApiResponse:
        event = AuditEvent.objects.filter(pk=event_id).first() if event_id < MAX_ID else None
        if event is None:
            raise NotFound("There is no such event.")
        return ApiResponse(AuditEventSerializer(event).data)
