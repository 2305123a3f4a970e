"""Schemas: list, create, read, change, delete."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from keys.verification import VerifiedSignature
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped
from project.api.permissions import IsSignedOrReading
from schemas import access, registry, usage
from schemas.api.conditional import conditional
from schemas.api.filters import LIST_PARAMETERS, list_schemas
from schemas.api.serializers import (
    CreateSchemaSerializer,
    MessageSerializer,
    SchemaSerializer,
    UpdateSchemaSerializer,
)
from schemas.documents import read_document
from schemas.receipts import Author, author_of
from schemas.representation import schema_data, schemas_data
from schemas.settings import change_settings

SIGNED_ERRORS = ["SIGNATURE_MISSING", "SIGNATURE_VERIFICATION_FAILED", "SCOPE_MISSING"]
WRITE_ERRORS = [
    *SIGNED_ERRORS,
    "MALFORMED_JSON",
    "VALIDATION_FAILED",
    "SCHEMA_INVALID",
    "SCHEMA_EXISTS",
    "SCHEMA_FORBIDDEN",
    "SCHEMA_BLOCKED",
    "BODY_TOO_LARGE",
]


class SchemaView(APIView):
    """Base of the calls around schemas: reading needs one scope, writing another."""

    permission_classes = [IsSignedOrReading]
    scopes = {
        "GET": "schemas:read",
        "HEAD": "schemas:read",
        "POST": "schemas:write",
        "PATCH": "schemas:write",
        "DELETE": "schemas:write",
    }


def author_from(request: Request) -> Author | None:
    """Who signed; None where authentication is switched off, or nobody did."""
    if isinstance(request.auth, VerifiedSignature):
        return author_of(request.auth, received_at=timezone.now())
    return None


def signer_of(request: Request) -> int | None:
    """Primary key of the client that signed."""
    return request.auth.client.pk if isinstance(request.auth, VerifiedSignature) else None


def name_of(author: Author | None) -> str | None:
    return author.client_id if author else None


class SchemaListView(SchemaView):
    @extend_schema(
        operation_id="schemas_list",
        tags=["schemas"],
        summary="List schemas",
        parameters=LIST_PARAMETERS,
        responses=enveloped(SchemaSerializer, many=True, errors=[*SIGNED_ERRORS, "VALIDATION_FAILED"]),
    )
    def get(self, request: Request) -> Any:
        paginator, page = list_schemas(request, view=self)
        return conditional(request, paginator.get_paginated_response(schemas_data(page)))

    @extend_schema(
        tags=["schemas"],
        summary="Register a schema with its first version",
        description="The signing client becomes its owner. Numbers go on where a deleted name is taken up again.",
        request=CreateSchemaSerializer,
        responses=enveloped(SchemaSerializer, status=201, errors=WRITE_ERRORS),
    )
    def post(self, request: Request) -> ApiResponse:
        serializer = CreateSchemaSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = serializer.validated_data
        author = author_from(request)
        registered = registry.create_schema(
            name=wish["name"],
            document=read_document(*wish["document"]),
            author=author,
            version=wish.get("version") or registry.DEFAULT_VERSION,
            description=wish.get("description") or "",
            compatibility=wish.get("compatibility"),
        )
        schema = access.find_schema(wish["name"])
        return ApiResponse(
            schema_data(schema, registered.version),
            meta={"action": "schema_created", "created_by": name_of(author)},
            status=201,
        )


class SchemaDetailView(SchemaView):
    @extend_schema(
        tags=["schemas"],
        summary="A schema with its newest version",
        responses=enveloped(SchemaSerializer, errors=[*SIGNED_ERRORS, "SCHEMA_NOT_FOUND", "SCHEMA_BLOCKED"]),
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        schema = access.find_schema(name)
        access.check_not_blocked(schema)
        version = access.latest_version(schema)
        if version is not None:
            usage.count_read(version.pk, signer_of(request))
        return conditional(request, ApiResponse(schema_data(schema, version)))

    @extend_schema(
        tags=["schemas"],
        summary="Change description, compatibility or writers",
        request=UpdateSchemaSerializer,
        responses=enveloped(
            SchemaSerializer,
            errors=[*SIGNED_ERRORS, "SCHEMA_NOT_FOUND", "SCHEMA_FORBIDDEN", "VALIDATION_FAILED"],
        ),
    )
    def patch(self, request: Request, name: str) -> ApiResponse:
        serializer = UpdateSchemaSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        author = author_from(request)
        schema = change_settings(
            schema=access.find_schema(name), author=author, changes=serializer.validated_data
        )
        return ApiResponse(
            schema_data(schema, access.latest_version(schema)),
            meta={"action": "schema_updated", "updated_by": name_of(author)},
        )

    @extend_schema(
        tags=["schemas"],
        summary="Take a schema out of use",
        description="Its name stays its owner's: nobody else can take it.",
        responses=enveloped(
            MessageSerializer,
            errors=[*SIGNED_ERRORS, "SCHEMA_NOT_FOUND", "SCHEMA_FORBIDDEN", "SCHEMA_REFERENCED"],
        ),
    )
    def delete(self, request: Request, name: str) -> ApiResponse:
        author = author_from(request)
        registry.delete_schema(schema=access.find_schema(name), author=author)
        return ApiResponse(
            {"message": f"The schema {name} is deleted. Its name stays its owner's."},
            meta={"action": "schema_deleted", "deleted_by": name_of(author), "schema_name": name},
        )
