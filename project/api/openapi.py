"""The OpenAPI document: the envelope around every schema, the signature scheme, the error codes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

from project.api.catalogue import CATALOGUE

ALWAYS = ["INTERNAL_ERROR", "RATE_LIMITED", "SERVICE_UNAVAILABLE"]

PAGE = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
        description="Items in the answer.",
    ),
    OpenApiParameter("cursor", str, description="`next_cursor` or `previous_cursor` of the page before."),
]


class PaginationSerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField()
    next_cursor = serializers.CharField(allow_null=True)
    previous_cursor = serializers.CharField(allow_null=True)
    has_more = serializers.BooleanField()


class MetaSerializer(serializers.Serializer[Any]):
    timestamp = serializers.DateTimeField()
    request_id = serializers.CharField()
    path = serializers.CharField(required=False, help_text="Of a refusal.")
    warnings = serializers.ListField(child=serializers.CharField(), required=False)
    action = serializers.CharField(required=False, help_text="What a call that writes has done.")
    created_by = serializers.CharField(required=False, allow_null=True)
    updated_by = serializers.CharField(required=False, allow_null=True)
    deleted_by = serializers.CharField(required=False, allow_null=True)
    count = serializers.IntegerField(required=False, help_text="Items in this answer.")
    pagination = PaginationSerializer(required=False)


class ErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField(help_text="What happened, why, and what to do now.")
    status = serializers.IntegerField()
    details = serializers.DictField()


# Made from fields and not declared as a class: `data` is a name that serializers use themselves.
FAILURE = inline_serializer(
    "Failure",
    {
        "success": serializers.BooleanField(),
        "data": serializers.JSONField(allow_null=True),
        "error": ErrorSerializer(),
        "meta": MetaSerializer(),
    },
)


def enveloped(
    data: Any, *, errors: Iterable[str] = (), many: bool = False, status: int = 200
) -> dict[int, Any]:
    """The responses of a call: `data` inside the envelope, and the refusals it can give, by status.

    Args:
        data: serializer class or field of `data`; None where the data is free.
        errors: codes of `project.api.catalogue`, besides those that any call can give.
    """
    return {status: _success(data, many=many), **refusals(errors)}


def refusals(errors: Iterable[str]) -> dict[int, Any]:
    """The refusals that a call can give, by status."""
    responses: dict[int, Any] = {}
    by_status: dict[int, list[str]] = {}
    for code in [*errors, *ALWAYS]:
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    for error_status, codes in sorted(by_status.items()):
        responses[error_status] = OpenApiResponse(
            FAILURE,
            description=" ".join(f"`{code}`: {CATALOGUE[code].cause}" for code in codes),
            examples=[_example(code, error_status) for code in codes],
        )
    return responses


@cache
def _success(data: Any, *, many: bool) -> Any:
    """Cached: two calls with the same data must share one component."""
    if isinstance(data, type):
        name = data.__name__.removesuffix("Serializer")
        field = data(many=many)
    else:
        name, field = "Object", data if data is not None else serializers.JSONField(allow_null=True)
    return inline_serializer(
        f"{name}{'List' if many else ''}Envelope",
        {
            "success": serializers.BooleanField(),
            "data": field,
            "error": serializers.JSONField(allow_null=True),
            "meta": MetaSerializer(),
        },
    )


def _example(code: str, status: int) -> OpenApiExample:
    entry = CATALOGUE[code]
    return OpenApiExample(
        code,
        value={
            "success": False,
            "data": None,
            "error": {
                "code": code,
                "message": f"{entry.cause} {entry.cure}",
                "status": status,
                "details": {},
            },
            "meta": {"timestamp": "2026-01-01T12:00:00.000Z", "request_id": "0b7c…", "path": "/api/v1/…"},
        },
        response_only=True,
        status_codes=[str(status)],
    )


class EnvelopeAutoSchema(AutoSchema):
    """Pagination and errors live in the envelope, so drf-spectacular's own wrappers stay away."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False

    def _get_request_body(self, direction: Any = "request") -> Any:
        """drf-spectacular knows no body of a DELETE; where a view has one, it is described as a POST's."""
        if self.method != "DELETE" or not getattr(self.view, "delete_has_body", False):
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        self.method = "POST"
        try:
            body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
            return {**body, "required": False}
        finally:
            self.method = "DELETE"


class StrictSerializerExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "keys.api.serializers.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(  # type: ignore[no-untyped-call]
            self.target, direction, bypass_extensions=True
        )
        return {**schema, "additionalProperties": False} if direction == "request" else schema


class PlainCharFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "keys.api.serializers.PlainCharField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer_field(  # type: ignore[no-untyped-call]
            self.target, direction, bypass_extensions=True
        )
        return {**schema, "pattern": self.target.pattern}


class SignatureScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "keys.authentication.SignatureAuthentication"
    name = "HTTPMessageSignature"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Signature",
            "description": (
                "RFC 9421 HTTP Message Signatures: the fields `Signature-Input` and `Signature`, "
                'with `tag="datafold"`, `keyid` = the client_id or the key\'s thumbprint, `created` and `nonce`. '
                "With a body also `Content-Digest` (RFC 9530), covered. See docs/protocol.md."
            ),
        }


def only_versioned_paths(endpoints: list[Any]) -> list[Any]:
    """Preprocessing hook: document /api/v1/ without trailing slashes; the rest are aliases."""
    return [
        endpoint
        for endpoint in endpoints
        if endpoint[0].startswith("/api/v1/") and not endpoint[0].endswith("/")
    ]
