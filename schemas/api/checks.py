"""Trying things without writing: compatibility and validation; and who uses a schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from keys.authentication import signed_client
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped
from schemas import access, usage, validation, verdicts
from schemas.api.schemas import SIGNED_ERRORS, SchemaView
from schemas.api.serializers import (
    CompatibilitySerializer,
    ReaderSerializer,
    ReferenceSerializer,
    ReportSerializer,
    ValidateSerializer,
    ValidationSerializer,
)
from schemas.api.versions import READ_ERRORS, readable_version, visible_versions
from schemas.documents import read_document
from schemas.errors import SchemaForbidden
from schemas.models import Schema, SchemaVersion
from schemas.references import referring_versions

CHECK_ERRORS = [*READ_ERRORS, "MALFORMED_JSON", "VALIDATION_FAILED", "SCHEMA_INVALID"]


class CheckView(SchemaView):
    """A POST that writes nothing, so the scope for reading is enough."""

    scopes = {"GET": "schemas:read", "POST": "schemas:read"}


class CompatibilityView(CheckView):
    @extend_schema(
        tags=["schemas"],
        summary="Try a document against the schema's versions",
        description="Nothing is written. An incompatible document is a report, not an error.",
        request=CompatibilitySerializer,
        responses=enveloped(ReportSerializer, errors=[*CHECK_ERRORS, "SCHEMA_TOO_COMPLEX"]),
    )
    def post(self, request: Request, name: str) -> ApiResponse:
        serializer = CompatibilitySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = serializer.validated_data
        schema = access.find_schema(name)
        access.check_not_blocked(schema)
        verdict = verdicts.judge(
            schema,
            read_document(*wish["document"]),
            mode=wish.get("mode"),
            policy=wish.get("policy"),
            among=visible_versions(request, schema),
            against=_versions(request, schema, wish.get("against")),
        )
        return ApiResponse(verdict.to_dict())


def _versions(request: Request, schema: Schema, against: Any) -> Iterable[SchemaVersion] | None:
    if against in (None, "latest"):
        return None
    if against == "in_use":
        return usage.versions_in_use(visible_versions(request, schema))
    if isinstance(against, int) and not isinstance(against, bool):
        return [readable_version(request, schema, against)]
    raise serializers.ValidationError({"against": ['Send "latest", "in_use" or the number of a version.']})


class ValidateView(CheckView):
    @extend_schema(
        tags=["schemas"],
        summary="Validate a document, or a batch of them",
        request=ValidateSerializer,
        responses=enveloped(ValidationSerializer, errors=CHECK_ERRORS),
    )
    def post(self, request: Request, name: str, number: int) -> ApiResponse:
        serializer = ValidateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        version = readable_version(request, access.find_schema(name), number)
        if "documents" in serializer.validated_data:
            return ApiResponse(validation.validate_batch(version, serializer.validated_data["documents"]))
        return ApiResponse(validation.validate_document(version, serializer.validated_data["document"]))


class ReferencedByView(SchemaView):
    @extend_schema(
        tags=["schemas"],
        summary="Which registered versions refer to this schema",
        responses=enveloped(ReferenceSerializer, many=True, errors=READ_ERRORS),
    )
    def get(self, request: Request, name: str) -> ApiResponse:
        schema = access.find_schema(name)
        access.check_not_blocked(schema)
        rows = [
            {"name": version.schema.name, "number": version.number, "version": version.version}
            for version in referring_versions(schema)
            if access.is_served(version)
        ]
        return ApiResponse(rows, meta={"count": len(rows)})


class ReadersView(SchemaView):
    @extend_schema(
        tags=["schemas"],
        summary="Who read which version in the last 30 days",
        description="For the owner and its writers.",
        responses=enveloped(
            ReaderSerializer, many=True, errors=[*SIGNED_ERRORS, "SCHEMA_NOT_FOUND", "SCHEMA_FORBIDDEN"]
        ),
    )
    def get(self, request: Request, name: str) -> ApiResponse:
        schema = access.find_schema(name)
        client = signed_client(request)
        if not access.may_write(schema, client.record.pk if client else None):
            raise SchemaForbidden(
                f"Who reads {schema.name} is shown to its owner, its writers and operators only.",
                owner=access.owner_label(schema),
            )
        rows = usage.readers_of(schema)
        return ApiResponse(rows, meta={"count": len(rows)})
