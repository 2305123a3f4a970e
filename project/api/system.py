"""What the server is and requires, and who the caller is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, cast

from django.conf import settings
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from keys.authentication import signed_client
from keys.httpsig import PROFILES, Policy
from keys.verification import VerifiedSignature
from project.api.envelope import ApiResponse, rfc3339
from project.api.openapi import enveloped

STARTED = time.monotonic()


class SystemStatusView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        tags=["system"],
        summary="Version, uptime, and what this server requires",
        responses=enveloped(None, errors=["SIGNATURE_VERIFICATION_FAILED"]),
    )
    def get(self, request: Request) -> ApiResponse:
        return ApiResponse(
            {
                "name": settings.APP_NAME,
                "version": settings.VERSION,
                "status": "healthy",
                "environment": "development" if settings.DATAFOLD_DEVELOPMENT else "production",
                "uptime_seconds": round(time.monotonic() - STARTED, 1),
                "time": rfc3339(timezone.now()),
                "auth_enabled": settings.DATAFOLD_ENABLE_AUTH,
                "auth_required": settings.DATAFOLD_REQUIRE_AUTH,
                "registration_policy": settings.DATAFOLD_REGISTRATION_POLICY,
                "default_profile": settings.DATAFOLD_DEFAULT_PROFILE,
                "profiles": {name: _describe(policy) for name, policy in PROFILES.items()},
                "max_body_bytes": settings.DATAFOLD_MAX_BODY_BYTES,
            }
        )


class AuthStatusSerializer(serializers.Serializer[Any]):
    is_authenticated = serializers.BooleanField()
    client_id = serializers.CharField(allow_null=True)
    authentication_method = serializers.CharField()
    timestamp = serializers.DateTimeField()


class SignatureSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    algorithm = serializers.CharField()
    components = serializers.ListField(child=serializers.CharField())
    timestamp = serializers.DateTimeField()
    key_id = serializers.CharField()


class AuthMeSerializer(serializers.Serializer[Any]):
    client_id = serializers.CharField()
    is_authenticated = serializers.BooleanField()
    name = serializers.CharField()
    profile = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    signature = SignatureSerializer(allow_null=True)
    metadata = serializers.DictField()


class AuthStatusView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        tags=["auth"],
        summary="Whether this request is authenticated",
        responses=enveloped(AuthStatusSerializer, errors=["SIGNATURE_VERIFICATION_FAILED"]),
    )
    def get(self, request: Request) -> ApiResponse:
        client = signed_client(request)
        return ApiResponse(
            {
                "is_authenticated": client is not None,
                "client_id": client.client_id if client else None,
                "authentication_method": "signature",
                "timestamp": rfc3339(timezone.now()),
            }
        )


class AuthMeView(APIView):
    @extend_schema(
        tags=["auth"],
        summary="The signing client, as the server sees it",
        responses=enveloped(AuthMeSerializer, errors=["SIGNATURE_MISSING", "SIGNATURE_VERIFICATION_FAILED"]),
    )
    def get(self, request: Request) -> ApiResponse:
        return ApiResponse(_me(request))


class AuthTestView(APIView):
    @extend_schema(
        tags=["auth"],
        summary="Try a signed request with a body",
        request=OpenApiTypes.OBJECT,
        responses=enveloped(AuthMeSerializer, errors=["SIGNATURE_MISSING", "DIGEST_MISMATCH"]),
    )
    def post(self, request: Request) -> ApiResponse:
        me = _me(request)
        return ApiResponse(
            {
                **me,
                "message": "Authentication successful!",
                "authenticated_as": me["client_id"],
                "signature_info": me["signature"],
                "test_timestamp": rfc3339(timezone.now()),
            }
        )


def _me(request: Request) -> dict[str, Any]:
    client = signed_client(request)
    if client is None:  # only where DATAFOLD_ENABLE_AUTH is off
        return {
            "client_id": "anonymous",
            "is_authenticated": False,
            "name": "",
            "profile": settings.DATAFOLD_DEFAULT_PROFILE,
            "scopes": [],
            "signature": None,
            "metadata": {},
        }
    verified = cast(VerifiedSignature, request.auth)
    return {
        "client_id": client.client_id,
        "is_authenticated": True,
        "name": client.record.name,
        "profile": client.record.profile,
        "scopes": sorted(client.record.scopes),
        "signature": signature_info(verified),
        "metadata": client.record.metadata,
    }


def signature_info(verified: VerifiedSignature) -> dict[str, Any]:
    created = datetime.fromtimestamp(verified.signature.created or 0, UTC)
    return {
        "valid": True,
        "algorithm": verified.key.public_key.algorithm,
        "components": [component.text.strip('"') for component in verified.signature.components],
        "timestamp": rfc3339(created),
        "key_id": verified.signature.keyid,
        "thumbprint": verified.key.thumbprint,
    }


def _describe(policy: Policy) -> dict[str, Any]:
    return {
        "window_seconds": policy.window_s,
        "clock_skew_seconds": policy.clock_skew_s,
        "required_components": [
            " or ".join(sorted("+".join(sorted(a)) for a in any_of)) for any_of in policy.required_components
        ],
        "body_components": list(policy.body_components),
        "nonce": "required"
        if policy.nonce.required and not policy.nonce.exempt_methods
        else "optional for GET, HEAD, OPTIONS",
    }
