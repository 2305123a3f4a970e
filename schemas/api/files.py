"""POST schemas/{name}/versions/{n}/validate-file: a file of up to a gibibyte, streamed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from keys.authentication import signed_client
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped
from project.api.tasks import TaskSerializer
from project.uploads import receive_upload
from schemas import access
from schemas.api.checks import CheckView
from schemas.api.versions import READ_ERRORS, readable_version
from schemas.files import jobs
from schemas.models import Media


class NoParser(BaseParser):
    """The body is not parsed: it is streamed."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> dict[str, Any]:
        return {}


class ValidateFileView(CheckView):
    streams_body = True
    parser_classes = [NoParser]

    @extend_schema(
        tags=["schemas"],
        summary="Validate a file in the background",
        description=(
            "The raw file as the body: NDJSON (application/x-ndjson), CSV with a header line (text/csv) or a JSON "
            "array (application/json), gzipped or not. The signature is checked first, Content-Digest while the body "
            "streams to disk. Follow the task with GET tasks/{id}."
        ),
        parameters=[
            OpenApiParameter("media", enum=Media.values, description="What is inside of application/gzip.")
        ],
        request=dict.fromkeys(("application/x-ndjson", "text/csv", "application/gzip"), OpenApiTypes.BINARY),
        responses=enveloped(
            TaskSerializer,
            status=202,
            errors=[
                *READ_ERRORS,
                "DIGEST_MISMATCH",
                "DIGEST_MISSING",
                "BODY_TOO_LARGE",
                "UNSUPPORTED_MEDIA_TYPE",
            ],
        ),
    )
    def post(self, request: Request, name: str, number: int) -> ApiResponse:
        version = readable_version(request, access.find_schema(name), number)
        media, gzipped = jobs.media_of(
            request.META.get("CONTENT_TYPE", ""),
            request.META.get("HTTP_CONTENT_ENCODING", ""),
            request.query_params.get("media", ""),
        )
        client = signed_client(request)
        job = jobs.start(
            version=version,
            client_pk=client.record.pk if client else None,
            path=receive_upload(request._request),
            media=media,
            gzipped=gzipped,
        )
        return ApiResponse(jobs.describe(job), meta={"action": "validation_started"}, status=202)
