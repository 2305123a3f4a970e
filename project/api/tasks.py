"""Background work that a client started: GET tasks/{id}, its end, its report."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from keys.authentication import signed_client
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped, refusals
from schemas.files import jobs
from schemas.models import ValidationJob

TASK_ERRORS = ["SIGNATURE_MISSING", "SIGNATURE_VERIFICATION_FAILED", "TASK_NOT_FOUND"]


class TaskSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField()
    state = serializers.CharField(help_text="queued, running, done, failed or cancelled.")
    cancel_requested = serializers.BooleanField()
    progress = serializers.FloatField(help_text="0 to 1.")
    schema = serializers.CharField()
    number = serializers.IntegerField()
    media = serializers.CharField()
    bytes = serializers.IntegerField()
    error = serializers.CharField(allow_null=True)
    result = serializers.DictField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


def own_job(request: Request, task_id: str) -> ValidationJob:
    client = signed_client(request)
    return jobs.find_job(task_id, client_pk=client.record.pk if client else None)


class TaskView(APIView):
    @extend_schema(
        tags=["tasks"],
        summary="State, progress and result",
        description="For whoever started it; to everybody else there is no such task.",
        responses=enveloped(TaskSerializer, errors=TASK_ERRORS),
    )
    def get(self, request: Request, task_id: str) -> ApiResponse:
        return ApiResponse(jobs.describe(own_job(request, task_id)))


class TaskCancelView(APIView):
    @extend_schema(
        tags=["tasks"],
        summary="End it before it is done",
        request=None,
        responses=enveloped(TaskSerializer, errors=[*TASK_ERRORS, "TASK_STATE_CONFLICT"]),
    )
    def post(self, request: Request, task_id: str) -> ApiResponse:
        job = jobs.cancel(own_job(request, task_id))
        return ApiResponse(jobs.describe(job), meta={"action": "task_cancelled"})


class TaskReportView(APIView):
    @extend_schema(
        tags=["tasks"],
        summary="Every refused record with its problems",
        description="NDJSON, one line for each refused record; it grows while the task runs.",
        responses={(200, "application/x-ndjson"): OpenApiTypes.BINARY, **refusals(TASK_ERRORS)},
    )
    def get(self, request: Request, task_id: str) -> FileResponse:
        return jobs.open_report(own_job(request, task_id))
