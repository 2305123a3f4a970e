"""Checkpoints of the audit log, and proofs that an event is under one."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication.rest import OperatorSessionAuthentication, OperatorTokenAuthentication
from accounts.models import AuditCheckpoint, AuditEvent, User
from accounts.proofs import AuditEventNotFound, checkpoint_document, inclusion_proof
from keys.authentication import SignatureAuthentication, signed_client
from project.api.envelope import ApiResponse
from project.api.openapi import PAGE, enveloped
from project.api.pagination import EnvelopeCursorPagination
from project.errors import DomainError

Kind = AuditEvent.ActorKind


class NoCheckpoint(DomainError):
    code = "NOT_FOUND"


class MaySeeCheckpoints(BasePermission):
    """Any client that signs, to pin them; and operators who may read the audit log."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if isinstance(request.user, User):
            return request.user.has_perm("accounts.view_auditevent")
        return signed_client(request) is not None


class CheckpointSerializer(serializers.Serializer[AuditCheckpoint]):
    """For the OpenAPI document; `accounts.proofs.checkpoint_document` writes the answer."""

    type = serializers.CharField()
    number = serializers.IntegerField()
    batch_size = serializers.IntegerField(help_text="Events under this checkpoint.")
    tree_size = serializers.IntegerField(help_text="Events sealed up to and with this checkpoint.")
    root = serializers.CharField(  # type: ignore[assignment]  # hides the property that only nested serializers need
        help_text="Root of the batch's Merkle tree (RFC 6962), hexadecimal."
    )
    previous = serializers.CharField(help_text="Hash of the checkpoint before, hexadecimal.")
    sealed_at = serializers.DateTimeField()
    complete_until = serializers.DateTimeField(allow_null=True)
    keyid = serializers.CharField(help_text="Thumbprint of the server key that signed.")
    alg = serializers.CharField()
    hash = serializers.CharField(help_text="SHA-256 of the signed members as RFC 8785 JSON, hexadecimal.")
    signature = serializers.CharField(help_text="Over those bytes, base64.")
    jwk = serializers.DictField(help_text="The public key.")

    def to_representation(self, instance: AuditCheckpoint) -> dict[str, Any]:
        return checkpoint_document(instance)


class ProofSerializer(serializers.Serializer[Any]):
    event = serializers.DictField(help_text="Every column; its RFC 8785 JSON is the leaf.")
    leaf_hash = serializers.CharField()
    index = serializers.IntegerField(help_text="Place in the batch, from 0.")
    path = serializers.ListField(
        child=serializers.CharField(), help_text="Audit path (RFC 6962 §2.1.1), hexadecimal."
    )
    checkpoint = CheckpointSerializer()


class AuditView(APIView):
    authentication_classes = [
        SignatureAuthentication,
        OperatorTokenAuthentication,
        OperatorSessionAuthentication,
    ]
    permission_classes = [MaySeeCheckpoints]


class LatestCheckpointView(AuditView):
    @extend_schema(
        tags=["audit"],
        summary="The latest checkpoint of the audit log, to keep",
        responses=enveloped(
            CheckpointSerializer, errors=["NOT_FOUND", "SIGNATURE_MISSING", "PERMISSION_DENIED"]
        ),
    )
    def get(self, request: Request) -> ApiResponse:
        checkpoint = AuditCheckpoint.objects.order_by("-number").first()
        if checkpoint is None:
            raise NoCheckpoint("Nothing is sealed yet. The first checkpoint is made within a minute or so.")
        return ApiResponse(checkpoint_document(checkpoint))


class CheckpointPagination(EnvelopeCursorPagination):
    ordering = "-number"


class CheckpointListView(AuditView, ListAPIView[AuditCheckpoint]):
    queryset = AuditCheckpoint.objects.all()
    serializer_class = CheckpointSerializer
    pagination_class = CheckpointPagination

    @extend_schema(
        tags=["audit"],
        summary="Checkpoints of the audit log, newest first",
        parameters=PAGE,
        responses=enveloped(
            CheckpointSerializer,
            many=True,
            errors=["SIGNATURE_MISSING", "PERMISSION_DENIED", "VALIDATION_FAILED"],
        ),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)


class EventProofView(AuditView):
    @extend_schema(
        tags=["audit"],
        summary="Proof that an event is in the sealed log",
        description="Operators: any event. Clients: events that they caused, or whose target they are.",
        responses=enveloped(
            ProofSerializer,
            errors=[
                "AUDIT_EVENT_NOT_FOUND",
                "AUDIT_EVENT_NOT_SEALED",
                "AUDIT_LOG_DAMAGED",
                "SIGNATURE_MISSING",
            ],
        ),
    )
    def get(self, request: Request, event_id: int) -> ApiResponse:
        if event_id >= 2**63 or not _visible_to(request, event_id):
            raise AuditEventNotFound(f"There is no audit event {str(event_id)[:20]}, or you may not see it.")
        return ApiResponse(inclusion_proof(event_id))


def _visible_to(request: Request, event_id: int) -> bool:
    client = signed_client(request)
    if client is None:
        return True
    own = Q(actor_kind=Kind.CLIENT, actor_id=client.client_id) | Q(
        target_kind="client", target_id=client.client_id
    )
    return AuditEvent.objects.filter(own, pk=event_id).exists()
