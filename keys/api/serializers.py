"""What goes in and out of the calls around keys."""

from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from accounts.models.client import CLIENT_ID_PATTERN
from keys.models import Key, KeyStatus, RevocationReason

NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]*$"


class PlainCharField(serializers.CharField):
    """Text without control characters; a number is not text.

    Attributes:
        pattern: what the whole value matches; the OpenAPI document says so as well.
        rule: what is said of a value that does not.
    """

    pattern = NO_CONTROL_CHARACTERS
    rule = "Control characters are not allowed."

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Send a string.")
        if not re.fullmatch(NO_CONTROL_CHARACTERS, data):
            raise serializers.ValidationError(PlainCharField.rule)
        text: str = super().to_internal_value(data)
        if not re.fullmatch(self.pattern, text):
            raise serializers.ValidationError(self.rule)
        return text


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses members that the call does not know: a misspelt option must not pass silently."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = [str(name)[:80] for name in data if name not in self.fields]
            if unknown:
                raise serializers.ValidationError(
                    {name: ["This call does not know this member."] for name in unknown[:20]}
                )
        return super().to_internal_value(data)


class ClientIdField(PlainCharField):
    pattern = CLIENT_ID_PATTERN
    rule = "1 to 64 letters, digits, '.', '_' or '-'."


class RegisterSerializer(StrictSerializer):
    client_id = ClientIdField(required=False, allow_null=True)
    public_key = serializers.JSONField(help_text="64 hexadecimal characters (Ed25519), PEM, or JWK.")
    algorithm = PlainCharField(required=False, allow_null=True, max_length=32)
    key_name = PlainCharField(required=False, allow_null=True, allow_blank=True, max_length=100)
    user_id = PlainCharField(required=False, allow_null=True, allow_blank=True, max_length=100)
    metadata = serializers.JSONField(required=False, allow_null=True)
    enrolment_token = PlainCharField(required=False, allow_null=True, max_length=100, write_only=True)


class UpdateKeySerializer(StrictSerializer):
    key_name = PlainCharField(required=False, max_length=100, allow_blank=True)
    metadata = serializers.JSONField(required=False)


class RevokeKeySerializer(StrictSerializer):
    reason = serializers.ChoiceField(RevocationReason.choices, default=RevocationReason.UNSPECIFIED)


class RotateSerializer(StrictSerializer):
    public_key = serializers.JSONField(help_text="The new key: 64 hexadecimal characters, PEM, or JWK.")
    algorithm = PlainCharField(required=False, allow_null=True, max_length=32)
    key_name = PlainCharField(required=False, max_length=100, allow_blank=True)
    grace_seconds = serializers.IntegerField(required=False, min_value=0, max_value=90 * 86_400)


class VerifyDetachedSerializer(StrictSerializer):
    client_id = ClientIdField()
    message = serializers.CharField(trim_whitespace=False, allow_blank=True, max_length=500_000)
    signature = PlainCharField(max_length=1100, help_text="Hexadecimal or base64.")
    message_encoding = serializers.ChoiceField(["utf-8", "hex", "base64"], default="utf-8")


class KeyStatusSerializer(serializers.Serializer[Any]):
    client_id = serializers.CharField()
    status = serializers.CharField()


class KeySerializer(serializers.ModelSerializer[Key]):
    registration_id = serializers.CharField(source="pk")
    client_id = serializers.CharField(source="client.client_id")
    key_name = serializers.CharField(source="name")
    public_key = serializers.SerializerMethodField()
    replaces = serializers.CharField(source="replaces_id", allow_null=True)

    class Meta:
        model = Key
        fields = [
            "registration_id",
            "client_id",
            "public_key",
            "algorithm",
            "thumbprint",
            "fingerprint",
            "key_name",
            "status",
            "proven",
            "registered_at",
            "not_before",
            "expires_at",
            "retire_at",
            "rotate_by",
            "replaces",
            "decision_reason",
            "revocation_reason",
            "last_used_at",
            "usage_count",
            "metadata",
        ]

    def get_public_key(self, key: Key) -> str:
        """Ed25519 as 64 hexadecimal characters, others as PEM."""
        if key.algorithm == "ed25519":
            return bytes(key.public_key)[-32:].hex()
        return key.verifier.pem()


class OwnKeySerializer(KeySerializer):
    """A key as its client sees it.

    Any key of the client that verifies may ask, perhaps one that a thief holds; so the operators' words are there
    only where they are meant for the client.
    """

    decision_reason = serializers.SerializerMethodField(
        help_text="The operators' words about a rejected or suspended key."
    )

    def get_decision_reason(self, key: Key) -> str:
        return key.decision_reason if key.status in (KeyStatus.REJECTED, KeyStatus.SUSPENDED) else ""
