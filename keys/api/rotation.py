"""POST crypto/keys/rotate"""

from __future__ import annotations

import time
from datetime import timedelta

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.audit import Actor
from keys import rotation
from keys.api.client import SIGNED_ERRORS
from keys.api.registration import read_public_key
from keys.api.serializers import OwnKeySerializer, RotateSerializer
from keys.authentication import signed_client
from keys.errors import KeyNotFound
from keys.httpsig import SignatureMissing
from keys.models import Key
from keys.proof import NEW_KEY_TAG, prove_possession
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped


class RotateView(APIView):
    """The old key's signature is tagged `datafold`, the new key's `datafold-new-key`."""

    scopes = {"POST": "keys:rotate"}
    further_signatures = (NEW_KEY_TAG,)

    @extend_schema(
        tags=["keys"],
        summary="Replace the signing key by a new one",
        description=(
            "One request with two signatures: the old key's with `tag=\"datafold\"` and the new key's with "
            f'`tag="{NEW_KEY_TAG}"`. The new key is active at once; the old one goes on until its grace is over.'
        ),
        request=RotateSerializer,
        responses=enveloped(
            OwnKeySerializer,
            errors=[
                *SIGNED_ERRORS,
                "INVALID_PUBLIC_KEY",
                "DUPLICATE_PUBLIC_KEY",
                "KEY_STATE_CONFLICT",
                "SCOPE_MISSING",
                "VALIDATION_FAILED",
            ],
        ),
    )
    def post(self, request: Request) -> ApiResponse:
        serializer = RotateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = serializer.validated_data
        client = signed_client(request)
        if client is None:
            raise KeyNotFound("Authentication is switched off, so there is no signing key to rotate.")
        public_key = read_public_key(wish)
        try:
            prove_possession(request._request, public_key, now=time.time(), tag=NEW_KEY_TAG, required=True)
        except SignatureMissing as error:
            raise SignatureMissing(
                f'A rotation carries two signatures, and the one with tag="{NEW_KEY_TAG}" by the new key is missing. '
                "It proves that you hold the new private key.",
                tag=NEW_KEY_TAG,
            ) from error
        grace = wish.get("grace_seconds")
        key = rotation.rotate(
            Key.objects.select_related("client").get(pk=client.key.id),
            public_key=public_key,
            actor=Actor.client(client.client_id, client.key.thumbprint),
            name=wish.get("key_name"),
            grace=None if grace is None else timedelta(seconds=grace),
        )
        return ApiResponse(
            OwnKeySerializer(key).data, meta={"action": "key_rotated", "created_by": client.client_id}
        )
