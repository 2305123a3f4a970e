"""Versions of a schema: list, add, read, prove."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from keys.authentication import signed_client
from keys.verification import VerifiedSignature
from project.api.envelope import ApiResponse
from project.api.openapi import PAGE, enveloped
from project.api.pagination import WeighedCursorPagination
from project.db.weight import Weight
from schemas import access, reading, registry, usage
from schemas.api.conditional import answer_version
from schemas.api.schemas import SIGNED_ERRORS, WRITE_ERRORS, SchemaView, author_from, name_of, signer_of
from schemas.api.serializers import AddVersionSerializer, ReceiptSerializer, VersionSerializer
from schemas.documents import read_document
from schemas.errors import SchemaNotFound
from schemas.models import Schema, SchemaVersion
from schemas.receipts import export_receipt
from schemas.representation import version_data

READ_ERRORS = [*SIGNED_ERRORS, "SCHEMA_NOT_FOUND", "SCHEMA_BLOCKED"]
FORMAT_PARAMETER = OpenApiParameter(
    "format",
    enum=["fields", "jsonschema", "avro", "typescript", "python"],
    description="Convert to this format; `losses` lists what does not survive.",
)


def readable_version(request: Request, schema: Schema, number: int) -> SchemaVersion:
    """A version that the caller may see: one that is served, or its own that waits for approval.

    Raises:
        SchemaNotFound, SchemaBlocked.
    """
    access.check_not_blocked(schema)
    version = access.find_version(schema, number)
    if not access.is_served(version) and not access.may_write(schema, _client_pk(request)):
        raise access.version_not_found(schema, number)
    return version


def visible_versions(request: Request, schema: Schema) -> QuerySet[SchemaVersion]:
    """The versions that whoever calls may see."""
    return access.visible_versions(schema, _client_pk(request))


def _client_pk(request: Request) -> int | None:
    client = signed_client(request)
    return client.record.pk if client else None


class VersionPagination(WeighedCursorPagination):
    ordering = "-number"
    weight = Weight("content")
    documents = ("content",)


class VersionListView(SchemaView):
    @extend_schema(
        operation_id="schemas_versions_list",
        tags=["schemas"],
        summary="List a schema's versions, newest first",
        parameters=PAGE,
        responses=enveloped(VersionSerializer, many=True, errors=[*READ_ERRORS, "VALIDATION_FAILED"]),
    )
    def get(self, request: Request, name: str) -> Any:
        schema = access.find_schema(name)
        access.check_not_blocked(schema)
        versions = visible_versions(request, schema).select_related("author", "author_key")
        paginator = VersionPagination()
        # Not shown here, and as large as the content: two hundred of them would be.
        page = paginator.paginate_queryset(versions.defer("canonical", "receipt"), request, view=self)
        for version in page or []:
            version.schema = schema
        return paginator.get_paginated_response([version_data(version) for version in page or []])

    @extend_schema(
        tags=["schemas"],
        summary="Register a further version",
        description="The same content again answers with the version that has it, and writes nothing.",
        request=AddVersionSerializer,
        responses=enveloped(
            VersionSerializer,
            status=201,
            errors=[*WRITE_ERRORS, "SCHEMA_NOT_FOUND", "SCHEMA_INCOMPATIBLE", "SCHEMA_TOO_COMPLEX"],
        ),
    )
    def post(self, request: Request, name: str) -> ApiResponse:
        serializer = AddVersionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = serializer.validated_data
        author = author_from(request)
        registered = registry.add_version(
            schema=access.find_schema(name),
            document=read_document(*wish["document"]),
            author=author,
            version=wish.get("version") or "",
            description=wish.get("description"),
        )
        version = registered.version
        action = "schema_version_added" if registered.created else "schema_unchanged"
        created_by = version.author.client_id if version.author else None
        return ApiResponse(
            version_data(version),
            meta={"action": action, "created_by": name_of(author) if registered.created else created_by},
            status=201 if registered.created else 200,
        )


class VersionDetailView(SchemaView):
    @extend_schema(
        tags=["schemas"],
        summary="One version",
        description=(
            "Immutable, so it may be kept for good; `state` is as of the answer. Ask with If-None-Match to learn "
            "cheaply whether the version is still served. A schema's newest version is at `versions/latest`."
        ),
        parameters=[FORMAT_PARAMETER],
        responses=enveloped(VersionSerializer, errors=[*READ_ERRORS, "CONVERSION_IMPOSSIBLE"]),
    )
    def get(self, request: Request, name: str, number: int) -> HttpResponse:
        verified = request.auth if isinstance(request.auth, VerifiedSignature) else None
        target = request.query_params.get("format", "")
        rendered = reading.read_version(
            name,
            number,
            target,
            reader=verified.client.pk if verified else None,
            epoch=verified.spent.registry_epoch if verified else "",
        )
        if rendered is None:  # waits for approval
            version = readable_version(request, access.find_schema(name), number)
            rendered = reading.render(version, target)
        return answer_version(request, rendered)


class LatestVersionView(SchemaView):
    @extend_schema(
        tags=["schemas"],
        summary="The newest version",
        description="Ask with If-None-Match to learn cheaply whether there is a newer one.",
        parameters=[FORMAT_PARAMETER],
        responses=enveloped(VersionSerializer, errors=[*READ_ERRORS, "CONVERSION_IMPOSSIBLE"]),
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        schema = access.find_schema(name)
        access.check_not_blocked(schema)
        version = access.latest_version(schema)
        if version is None:
            raise SchemaNotFound(f"No version of the schema {name} is approved yet. Ask the operators.")
        rendered = reading.render(version, request.query_params.get("format", ""))
        usage.count_read(version.pk, signer_of(request))
        return answer_version(request, rendered, may_change=True)


class ReceiptView(SchemaView):
    @extend_schema(
        tags=["schemas"],
        summary="The proof of who wrote a version",
        description="Check it offline with `datafold verify-receipt FILE`.",
        responses=enveloped(ReceiptSerializer, errors=READ_ERRORS),
    )
    def get(self, request: Request, name: str, number: int) -> ApiResponse:
        version = readable_version(request, access.find_schema(name), number)
        receipt = export_receipt(version)
        meta = {} if receipt else {"reason": _NO_RECEIPT[settings.DATAFOLD_ENABLE_AUTH]}
        return ApiResponse(receipt, meta=meta)


_NO_RECEIPT = {
    True: "This version was written while authentication was switched off.",
    False: "Authentication is switched off, so nothing is signed and there is nothing to prove.",
}
