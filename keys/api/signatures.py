"""POST crypto/signatures/verify: a detached signature of a registered client."""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from keys.api.serializers import VerifyDetachedSerializer
from keys.api.throttles import VerifyThrottle
from keys.directory import KeyRecord, read_record
from keys.errors import KeysError
from keys.verification import check_standing
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped
from project.proxies import client_address


class VerdictSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    client_id = serializers.CharField()
    algorithm = serializers.CharField(allow_null=True)
    thumbprint = serializers.CharField(allow_null=True)


class VerifyDetachedView(APIView):
    """False is all that is said about a signature that does not count, whatever the cause."""

    permission_classes = [AllowAny]
    throttle_classes = [VerifyThrottle]

    @extend_schema(
        tags=["signatures"],
        summary="Check a detached signature of a registered client",
        request=VerifyDetachedSerializer,
        responses=enveloped(VerdictSerializer, errors=["VALIDATION_FAILED", "MALFORMED_JSON"]),
    )
    def post(self, request: Request) -> ApiResponse:
        serializer = VerifyDetachedSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = serializer.validated_data
        message = decode_message(wish["message"], wish["message_encoding"])
        key = holding_key(
            wish["client_id"],
            message,
            decode_signature(wish["signature"]),
            address=client_address(request._request),
        )
        return ApiResponse(
            {
                "valid": key is not None,
                "client_id": wish["client_id"],
                "algorithm": key.public_key.algorithm if key else None,
                "thumbprint": key.thumbprint if key else None,
            }
        )


def holding_key(client_id: str, message: bytes, signature: bytes, *, address: str) -> KeyRecord | None:
    """The key of the client under which the signature holds and which counts now, or None."""
    client = read_record(client_id)
    if client is None or client.client_id != client_id:
        return None
    for key in client.keys:
        if key.verifies and key.public_key.verify(signature, message):
            try:
                # The networks of a client bind its requests, not what is done with its signatures.
                check_standing(client, key, address=address, now=time.time(), networks=False)
            except KeysError:
                return None
            return key
    return None


def decode_message(text: str, encoding: str) -> bytes:
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        if encoding == "base64":
            return base64.b64decode(text, validate=True)
        return text.encode("utf-8")
    except (ValueError, binascii.Error) as error:
        raise serializers.ValidationError({"message": [f"This is not {encoding}."]}) from error


def decode_signature(text: str) -> bytes:
    """Hexadecimal where it can be, else base64 or base64url."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(
            text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True
        )
    except (ValueError, binascii.Error) as error:
        raise serializers.ValidationError({"signature": ["Send it as hexadecimal or base64."]}) from error
