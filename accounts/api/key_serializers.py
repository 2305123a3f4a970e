"""What goes in and out of the operators' calls about keys."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.api.serializers import ReasonField
from accounts.models import Profile
from keys.api.serializers import KeySerializer, PlainCharField, StrictSerializer
from keys.decisions import Verb
from keys.models import Key, KeyStatus, RevocationReason


class KeyFilter(StrictSerializer):
    status = serializers.ChoiceField(KeyStatus.choices, required=False)
    client_id = PlainCharField(required=False, max_length=64)
    algorithm = PlainCharField(required=False, max_length=32)
    thumbprint = PlainCharField(required=False, max_length=43)
    proven = serializers.BooleanField(required=False)
    expires_before = serializers.DateTimeField(required=False)


class ApprovalSerializer(serializers.Serializer[Any]):
    operator = serializers.CharField(source="operator.username")
    terms = serializers.DictField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class KeyDetailSerializer(KeySerializer):
    client_status = serializers.CharField(source="client.status")
    client_name = serializers.CharField(source="client.name")
    client_owner = serializers.CharField(source="client.owner.username", default=None, allow_null=True)
    decided_by = serializers.CharField(source="decided_by.username", default=None, allow_null=True)
    approvals = ApprovalSerializer(many=True)
    approvals_needed = serializers.IntegerField(read_only=True)
    decisions = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="What its state and your role allow."
    )
    seen = serializers.CharField(read_only=True, help_text="Hand it back with the decision.")

    class Meta:
        model = Key
        fields = [
            *KeySerializer.Meta.fields,
            "registered_from",
            "registered_user_id",
            "decided_by",
            "decided_at",
            "compromised_since",
            "client_status",
            "client_name",
            "client_owner",
            "approvals",
            "approvals_needed",
            "decisions",
            "seen",
        ]


class DecisionSerializer(StrictSerializer):
    """A decision names what it is about: `seen` from the key's own call, or at least its thumbprint."""

    seen = PlainCharField(required=False, max_length=20_000)
    thumbprint = PlainCharField(required=False, max_length=43)
    reason = ReasonField(
        help_text="Kept in the audit log. The client reads it if it rejects or suspends the key."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("seen") and not attrs.get("thumbprint"):
            raise serializers.ValidationError(
                {"seen": ["Name what you decide about: `seen` or `thumbprint`."]}
            )
        return attrs


class ApproveSerializer(DecisionSerializer):
    expires_at = serializers.DateTimeField(required=False)
    scopes = serializers.ListField(child=PlainCharField(max_length=64), required=False, max_length=50)
    profile = serializers.ChoiceField(Profile.choices, required=False)


class RevokeSerializer(DecisionSerializer):
    revocation_reason = serializers.ChoiceField(
        RevocationReason.choices, default=RevocationReason.UNSPECIFIED
    )
    compromised_since = serializers.DateTimeField(required=False)


class ReportCompromiseSerializer(DecisionSerializer):
    compromised_since = serializers.DateTimeField()


class RequestRotationSerializer(DecisionSerializer):
    rotate_by = serializers.DateTimeField(required=False)


DECISION_BODIES: dict[Verb, type[DecisionSerializer]] = {
    **dict.fromkeys(Verb, DecisionSerializer),
    Verb.APPROVE: ApproveSerializer,
    Verb.REVOKE: RevokeSerializer,
    Verb.REQUEST_ROTATION: RequestRotationSerializer,
    Verb.REPORT_COMPROMISE: ReportCompromiseSerializer,
}
