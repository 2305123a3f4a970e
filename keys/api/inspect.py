"""POST signatures/inspect: every check on a request, in order, with its verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from keys.api.serializers import StrictSerializer
from keys.api.throttles import AddressThrottle
from keys.inspection import (
    InspectedMessage,
    Reached,
    inspect_message,
    message_from_parts,
    message_from_text,
)
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped
from project.api.parsers import StrictJSONParser
from project.proxies import wire_host, wire_scheme

MAX_TEXT = 200_000
MAX_FIELDS = 100


class InspectThrottle(AddressThrottle):
    setting = "DATAFOLD_VERIFY_RATE"
    subject = "inspect"


class MessageParser(BaseParser):
    """A request as text, as `curl --data-binary @request.txt -H 'Content-Type: message/http'` sends it."""

    media_type = "message/http"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, bytes]:
        return {"raw": stream.read()}


class TextParser(MessageParser):
    """The same under the name that most tools have for it."""

    media_type = "text/plain"


@extend_schema_field({"type": "string", "maxLength": MAX_TEXT})
class WireField(serializers.Field[bytes, Any, Any, Any]):
    """Bytes as they stand on the wire: text in JSON, or what a `MessageParser` read. A body may hold any byte."""

    def to_internal_value(self, data: Any) -> bytes:
        if not isinstance(data, (str, bytes)):
            raise serializers.ValidationError("Send a string.")
        if len(data) > MAX_TEXT:
            raise serializers.ValidationError(f"Send at most {MAX_TEXT} characters.")
        return data if isinstance(data, bytes) else data.encode()


class InspectSerializer(StrictSerializer):
    """Either `raw`, or `method` with `url` (absolute) or `target`, and `headers`."""

    raw = WireField(required=False, help_text="The request as text.")
    method = serializers.CharField(required=False, max_length=64)
    url = serializers.CharField(
        required=False, max_length=8192, help_text="Absolute: https://host/path?query"
    )
    target = serializers.CharField(required=False, max_length=8192, help_text="As in the request line.")
    scheme = serializers.ChoiceField(
        ["http", "https"],
        required=False,
        help_text="As the server or its proxy would see it. A configured public origin decides for itself.",
    )
    headers = serializers.JSONField(
        required=False, help_text="{name: value or [values]}, or [[name, value], …]."
    )
    body = WireField(required=False)

    def validate_headers(self, value: Any) -> list[tuple[str, str]]:
        lines = _field_lines(value)
        if lines is None or len(lines) > MAX_FIELDS:
            raise serializers.ValidationError(
                f"Send an object of strings, or a list of [name, value]; at most {MAX_FIELDS} fields."
            )
        return lines

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        in_parts = "method" in attrs and ("url" in attrs) != ("target" in attrs)
        as_text = bool(attrs.get("raw")) and attrs.keys() <= {"raw", "scheme"}
        if as_text or (in_parts and "raw" not in attrs):
            return attrs
        raise serializers.ValidationError(
            {"raw": ["Send the request as raw text, or method, headers and either url or target."]}
        )


class CheckSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    ok = serializers.BooleanField(allow_null=True, help_text="null: not looked at.")
    message = serializers.CharField()
    code = serializers.CharField(allow_null=True)
    details = serializers.DictField()


class InspectionSerializer(serializers.Serializer[Any]):
    verified = serializers.BooleanField(
        help_text="Every check passed; whether the nonce is fresh was not asked."
    )
    checks = CheckSerializer(many=True)
    signature = serializers.DictField(allow_null=True)
    signature_base = serializers.CharField(allow_null=True)
    signature_base_lines = serializers.ListField(child=serializers.DictField())
    cause = serializers.DictField(allow_null=True)
    client_id = serializers.CharField(allow_null=True)
    profile = serializers.CharField()


class InspectView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]
    parser_classes = [StrictJSONParser, MessageParser, TextParser]
    throttle_classes = [InspectThrottle]

    @extend_schema(
        tags=["signatures"],
        summary="Show the signature base of a request and every check on it",
        description="Nothing is done with the request and its nonce is not spent.",
        request={
            "application/json": InspectSerializer,
            "message/http": OpenApiTypes.STR,
            "text/plain": OpenApiTypes.STR,
        },
        responses=enveloped(InspectionSerializer, errors=["VALIDATION_FAILED", "MALFORMED_JSON"]),
    )
    def post(self, request: Request) -> ApiResponse:
        serializer = InspectSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        reached = Reached(wire_scheme(request._request), wire_host(request._request))
        message = _message(serializer.validated_data, reached)
        inspected = inspect_message(message, now=time.time())
        return ApiResponse(
            {
                **inspected.inspection.as_dict(),
                "verified": inspected.verified,
                "checks": [asdict(check) for check in inspected.checks],
                "client_id": inspected.client.client_id if inspected.client else None,
                "profile": inspected.profile,
            }
        )


def _message(wish: Mapping[str, Any], reached: Reached) -> InspectedMessage:
    scheme = wish.get("scheme")
    if "raw" in wish:
        return message_from_text(wish["raw"], scheme=scheme, reached=reached)
    return message_from_parts(
        method=wish["method"],
        url=wish.get("url") or wish["target"],
        lines=wish.get("headers", []),
        body=wish.get("body", b""),
        scheme=scheme,
        reached=reached,
    )


def _field_lines(value: Any) -> list[tuple[str, str]] | None:
    """The lines of a JSON description of header fields; None if it is none."""
    if isinstance(value, dict):
        pairs = [
            (name, each)
            for name, values in value.items()
            for each in (values if isinstance(values, list) else [values])
        ]
    elif isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        pairs = [(pair[0], pair[1]) for pair in value]
    else:
        return None
    return pairs if all(isinstance(part, str) for pair in pairs for part in pair) else None
