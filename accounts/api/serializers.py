"""What goes in and out of the operators' calls about people, clients, invitations and the audit log."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import AuditEvent, Client, ClientStatus, Profile, User
from accounts.roles import Role
from keys.api.serializers import ClientIdField, PlainCharField, StrictSerializer
from keys.models import EnrolmentToken

REASON = "Kept in the audit log."


class ReasonField(PlainCharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{"max_length": 500, "required": False, "allow_blank": True, "help_text": REASON, **kwargs}
        )


class OperatorSerializer(serializers.ModelSerializer[User]):
    name = serializers.CharField(source="get_full_name", read_only=True)
    roles = serializers.SerializerMethodField()
    second_factor = serializers.BooleanField(
        read_only=True, help_text="Authenticator app or passkey is set up."
    )

    class Meta:
        model = User
        fields = [
            "id",
            "username",
            "name",
            "email",
            "roles",
            "is_active",
            "second_factor",
            "last_login",
            "date_joined",
        ]

    def get_roles(self, user: User) -> list[str]:
        """Strongest first. Needs `groups` prefetched."""
        if user.is_superuser:
            return [Role.ADMIN.value]
        names = {group.name for group in user.groups.all()}
        return [role.value for role in Role if role.value in names]


class NewOperatorSerializer(OperatorSerializer):
    password = serializers.CharField(help_text="Shown this once; null if you chose it.", allow_null=True)

    class Meta(OperatorSerializer.Meta):
        fields = [*OperatorSerializer.Meta.fields, "password"]


class OperatorFilter(StrictSerializer):
    is_active = serializers.BooleanField(required=False)
    role = serializers.ChoiceField([role.value for role in Role], required=False)
    username = PlainCharField(required=False, max_length=150, help_text="Part of the name.")


class CreateOperatorSerializer(StrictSerializer):
    username = PlainCharField(max_length=150)
    email = serializers.EmailField(required=False, allow_blank=True)
    first_name = PlainCharField(required=False, allow_blank=True, max_length=150)
    last_name = PlainCharField(required=False, allow_blank=True, max_length=150)
    role = serializers.ChoiceField([role.value for role in Role], required=False, allow_null=True)
    password = serializers.CharField(
        required=False,
        max_length=1000,
        trim_whitespace=False,
        help_text="Left out: a random one, shown once.",
    )


class ChangeRoleSerializer(StrictSerializer):
    role = serializers.ChoiceField([role.value for role in Role], allow_null=True, help_text="null: no role.")
    reason = ReasonField()


class ReasonSerializer(StrictSerializer):
    reason = ReasonField()


class SetPasswordSerializer(StrictSerializer):
    password = serializers.CharField(
        required=False,
        max_length=1000,
        trim_whitespace=False,
        help_text="Left out: a random one, shown once.",
    )
    reason = ReasonField()


class ClientSerializer(serializers.ModelSerializer[Client]):
    owner = serializers.CharField(source="owner.username", allow_null=True, default=None)
    registered_by = serializers.CharField(source="registered_by.username", allow_null=True, default=None)
    metadata = serializers.DictField()
    scopes = serializers.ListField(child=serializers.CharField())
    allowed_networks = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Client
        fields = [
            "client_id",
            "name",
            "owner",
            "contact_email",
            "status",
            "status_reason",
            "scopes",
            "profile",
            "allowed_networks",
            "rate_limit",
            "metadata",
            "registered_by",
            "created_at",
            "updated_at",
        ]


class ClientFilter(StrictSerializer):
    status = serializers.ChoiceField(ClientStatus.choices, required=False)
    profile = serializers.ChoiceField(Profile.choices, required=False)
    owner = PlainCharField(required=False, max_length=150, help_text="An operator's name.")
    client_id = PlainCharField(required=False, max_length=64, help_text="What the client_id begins with.")


class ChangeClientSerializer(StrictSerializer):
    name = PlainCharField(required=False, allow_blank=True, max_length=100)
    owner = PlainCharField(
        required=False, allow_null=True, max_length=150, help_text="An operator's name, or null."
    )
    contact_email = serializers.EmailField(required=False, allow_blank=True)
    scopes = serializers.ListField(child=PlainCharField(max_length=64), required=False, max_length=50)
    profile = serializers.ChoiceField(Profile.choices, required=False)
    allowed_networks = serializers.ListField(
        child=PlainCharField(max_length=64), required=False, max_length=200
    )
    rate_limit = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=10**9)
    metadata = serializers.JSONField(required=False)
    reason = ReasonField()


class CreateClientSerializer(ChangeClientSerializer):
    client_id = ClientIdField()


class EnrolmentTokenSerializer(serializers.ModelSerializer[EnrolmentToken]):
    client_id = serializers.CharField(source="client.client_id", allow_null=True, default=None)
    issued_by = serializers.CharField(source="issued_by.username", allow_null=True, default=None)
    used_for = serializers.CharField(
        source="used_for_id", allow_null=True, help_text="registration_id of the key."
    )

    class Meta:
        model = EnrolmentToken
        fields = ["id", "client_id", "note", "issued_by", "issued_at", "expires_at", "used_at", "used_for"]


class IssuedTokenSerializer(EnrolmentTokenSerializer):
    token = serializers.CharField(help_text="Shown this once.")

    class Meta(EnrolmentTokenSerializer.Meta):
        fields = [*EnrolmentTokenSerializer.Meta.fields, "token"]


class IssueTokenSerializer(StrictSerializer):
    client_id = ClientIdField(
        required=False, allow_null=True, help_text="Left out: for a client that is new."
    )
    note = PlainCharField(required=False, allow_blank=True, max_length=200)
    lifetime_hours = serializers.IntegerField(required=False, min_value=1, max_value=24 * 90, default=24 * 7)


class EnrolmentTokenFilter(StrictSerializer):
    client_id = PlainCharField(required=False, max_length=64)
    used = serializers.BooleanField(required=False)


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)

    class Meta:
        model = AuditEvent
        fields = [
            "id",
            "created_at",
            "actor_kind",
            "actor_id",
            "actor_label",
            "actor_key",
            "action",
            "target_kind",
            "target_id",
            "target_label",
            "before",
            "after",
            "reason",
            "request_id",
            "address",
        ]


class AuditEventFilter(StrictSerializer):
    action = PlainCharField(required=False, max_length=64)
    actor_kind = serializers.ChoiceField(AuditEvent.ActorKind.choices, required=False)
    actor_id = PlainCharField(required=False, max_length=64)
    target_kind = PlainCharField(required=False, max_length=32)
    target_id = PlainCharField(required=False, max_length=64)
    request_id = PlainCharField(required=False, max_length=64)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
