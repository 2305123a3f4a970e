"""Calls of a client about its own keys."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.audit import Actor
from accounts.models import Client
from keys import lifecycle
from keys.api.serializers import (
    KeyStatusSerializer,
    OwnKeySerializer,
    RevokeKeySerializer,
    UpdateKeySerializer,
)
from keys.authentication import SignedClient, signed_client
from keys.errors import ClientNotFound, KeyNotFound
from keys.models import VERIFYING, Key, KeyStatus
from keys.own import rename_key
from project.api.envelope import ApiResponse
from project.api.openapi import enveloped

SIGNED_ERRORS = ["SIGNATURE_MISSING", "SIGNATURE_VERIFICATION_FAILED", "KEY_NOT_ACTIVE"]


class UnknownClient(ClientNotFound):
    """404 and not 401: here the path names the client, not a signature."""

    code = "NOT_FOUND"


class KeyStatusView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        tags=["keys"],
        summary="Where a client's registration stands",
        description="Unsigned: the status only. Signed by that client: everything about its keys.",
        responses=enveloped(KeyStatusSerializer, errors=["NOT_FOUND"]),
    )
    def get(self, request: Request, client_id: str) -> ApiResponse:
        key = Key.objects.select_related("client").filter(client__client_id=client_id).first()
        if key is None:
            raise UnknownClient(
                f"No client {client_id[:64]!r} is registered here. Check the spelling, or register it."
            )
        caller = signed_client(request)
        if caller is None or caller.client_id != client_id:
            return ApiResponse({"client_id": client_id, "status": public_status(key)})
        keys = Key.objects.select_related("client").filter(client=key.client)[:50]
        current = Key.objects.select_related("client").get(pk=caller.key.id)
        return ApiResponse({**OwnKeySerializer(current).data, "keys": OwnKeySerializer(keys, many=True).data})


def public_status(key: Key) -> str:
    """What anybody may know: "pending", "active" or "inactive".

    A newcomer without a signed call must see that the approval came; why a key does not count
    any more is told only to its holder (DESIGN §4).
    """
    if key.status == KeyStatus.PENDING:
        return "pending"
    return "active" if key.status in VERIFYING else "inactive"


class KeyUpdateView(APIView):
    @extend_schema(
        tags=["keys"],
        summary="Change the name or metadata of the signing key",
        request=UpdateKeySerializer,
        responses=enveloped(
            OwnKeySerializer, errors=[*SIGNED_ERRORS, "INVALID_METADATA", "VALIDATION_FAILED"]
        ),
    )
    def put(self, request: Request, client_id: str) -> ApiResponse:
        client, key = own_key(request, client_id)
        serializer = UpdateKeySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        key = rename_key(
            key,
            actor=Actor.client(client.client_id, key.thumbprint),
            name=serializer.validated_data.get("key_name"),
            metadata=serializer.validated_data.get("metadata"),
        )
        return ApiResponse(
            OwnKeySerializer(key).data, meta={"action": "key_updated", "updated_by": client.client_id}
        )


class KeyRevokeView(APIView):
    delete_has_body = True

    @extend_schema(
        tags=["keys"],
        summary="Revoke the signing key",
        description="The next request that it signs is refused, on every worker. It cannot be undone.",
        request=RevokeKeySerializer,
        responses=enveloped(OwnKeySerializer, errors=[*SIGNED_ERRORS, "KEY_STATE_CONFLICT"]),
    )
    def delete(self, request: Request, client_id: str) -> ApiResponse:
        client, key = own_key(request, client_id)
        serializer = RevokeKeySerializer(data=request.data or {})
        serializer.is_valid(raise_exception=True)
        key = lifecycle.revoke(
            key,
            actor=Actor.client(client.client_id, key.thumbprint),
            revocation_reason=serializer.validated_data["reason"],
            reason="revoked by the client itself",
        )
        return ApiResponse(
            OwnKeySerializer(key).data, meta={"action": "key_revoked", "deleted_by": client.client_id}
        )


def own_key(request: Request, client_id: str) -> tuple[SignedClient, Key]:
    """The caller and the key it signed with, where the path names the caller itself.

    Raises:
        KeyNotFound: the path names somebody else, whose keys are none of the caller's business.
    """
    client: Any = signed_client(request)
    if client is None and not settings.DATAFOLD_ENABLE_AUTH:
        record = Client.objects.filter(client_id=client_id).first()
        key = record.keys.first() if record else None
        if key is not None:
            raise KeyNotFound("Authentication is switched off, so no request is anybody's own.")
    if client is None or client.client_id != client_id:
        raise KeyNotFound(
            f"The signing client may only manage its own keys, and {client_id[:64]!r} is not its client_id."
        )
    return client, Key.objects.select_related("client").get(pk=client.key.id)
