"""POST crypto/keys/register"""

from __future__ import annotations

import time
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from keys import registration
from keys.api.serializers import OwnKeySerializer, RegisterSerializer
from keys.api.throttles import RegistrationThrottle
from keys.httpsig import InvalidPublicKey, PublicKey, load_public_key
from keys.proof import prove_possession
from keys.wire import claims_signature
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped


class RegisterView(APIView):
    """The signature of this request, if there is one, is the new key's own: no client exists yet."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [RegistrationThrottle]

    @extend_schema(
        tags=["keys"],
        summary="Register a public key",
        request=RegisterSerializer,
        responses=enveloped(
            OwnKeySerializer,
            errors=[
                "MALFORMED_JSON",
                "INVALID_PUBLIC_KEY",
                "VALIDATION_FAILED",
                "INVALID_METADATA",
                "CLIENT_ALREADY_REGISTERED",
                "DUPLICATE_PUBLIC_KEY",
                "REGISTRATION_CLOSED",
                "ENROLMENT_TOKEN_INVALID",
                "SIGNATURE_VERIFICATION_FAILED",
            ],
        ),
    )
    def post(self, request: Request) -> ApiResponse:
        serializer = RegisterSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = serializer.validated_data
        public_key = read_public_key(wish)
        proven = claims_signature(request._request)
        if proven:
            prove_possession(request._request, public_key, now=time.time())
        key = registration.register(
            registration.Registration(
                public_key=public_key,
                client_id=wish.get("client_id") or "",
                key_name=wish.get("key_name") or "",
                user_id=wish.get("user_id") or "",
                metadata=wish["metadata"] if wish.get("metadata") is not None else {},
                enrolment_token=wish.get("enrolment_token") or "",
                proven=proven,
            )
        )
        return ApiResponse(
            OwnKeySerializer(key).data, meta={"action": "key_registered", "created_by": key.client.client_id}
        )


def read_public_key(wish: dict[str, Any]) -> PublicKey:
    """The public key of a request body. Raises `InvalidPublicKey`."""
    value = wish["public_key"]
    if not isinstance(value, str | dict):
        raise InvalidPublicKey("public_key must be a string (hexadecimal or PEM) or a JWK object.")
    return load_public_key(value, wish.get("algorithm"))
