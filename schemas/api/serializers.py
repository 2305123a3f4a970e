"""What goes in and out of the calls around schemas."""

from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from keys.api.serializers import PlainCharField, StrictSerializer
from schemas.compatibility import MODES, POLICIES
from schemas.formats import FORMATS
from schemas.models.schema import SCHEMA_NAME_PATTERN


class NameField(PlainCharField):
    pattern = SCHEMA_NAME_PATTERN
    rule = "1 to 100 letters, digits, '.', '_' or '-', starting with a letter or digit."


class VersionStringField(PlainCharField):
    pattern = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
    rule = "1 to 64 letters, digits, '.', '_', '+' or '-'."


class DescriptionField(PlainCharField):
    """Text of several lines: of the control characters it may have line breaks and tabs."""

    pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, max_length=2000, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Send a string.")
        super().to_internal_value(re.sub(r"[\n\r\t]", " ", data))
        return data.strip()


class DocumentSerializer(StrictSerializer):
    """`fields`, or `content` with its `format`."""

    format = serializers.ChoiceField(FORMATS, required=False, allow_null=True)
    fields = serializers.JSONField(required=False, help_text="A list of field definitions.")  # type: ignore[assignment]
    content = serializers.JSONField(required=False, help_text="A document in the given format.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given_format = attrs.get("format")
        if attrs.get("fields") is not None:
            if attrs.get("content") is not None:
                raise serializers.ValidationError({"content": ["Send `fields` or `content`, not both."]})
            if given_format not in (None, "fields"):
                raise serializers.ValidationError({"format": ["`fields` is always of the format fields."]})
            document = ("fields", attrs["fields"])
        elif "content" in attrs:
            if given_format is None:
                raise serializers.ValidationError(
                    {"format": [f"Say what `content` is written in: {', '.join(FORMATS)}."]}
                )
            document = (given_format, attrs["content"])
        else:
            raise serializers.ValidationError(
                {"fields": ["Send a list of `fields`, or `content` with its `format`."]}
            )
        return {**attrs, "document": document}


class AddVersionSerializer(DocumentSerializer):
    version = VersionStringField(required=False, allow_null=True)
    description = DescriptionField()


class CreateSchemaSerializer(AddVersionSerializer):
    name = NameField(max_length=100)
    compatibility = serializers.ChoiceField(MODES, required=False, allow_null=True)


class UpdateSchemaSerializer(StrictSerializer):
    description = DescriptionField()
    compatibility = serializers.ChoiceField(MODES, required=False)
    writers = serializers.ListField(
        child=PlainCharField(max_length=64),
        required=False,
        max_length=100,
        help_text="client_ids of further clients that may write versions.",
    )
    strict_writers_only = serializers.BooleanField(required=False)


class CompatibilitySerializer(DocumentSerializer):
    mode = serializers.ChoiceField(MODES, required=False, allow_null=True)
    policy = serializers.ChoiceField(POLICIES, required=False, allow_null=True)
    against = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text='"latest", "in_use" (versions read in the last 30 days), or a number.',
    )


class ValidateSerializer(StrictSerializer):
    document = serializers.JSONField(required=False, allow_null=True)
    documents = serializers.ListField(
        child=serializers.JSONField(allow_null=True), required=False, max_length=10_000
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("document" in attrs) == ("documents" in attrs):
            raise serializers.ValidationError(
                {"document": ["Send one `document`, or a list of `documents`."]}
            )
        return attrs


class VersionSerializer(serializers.Serializer[Any]):
    """One version; see `schemas.representation`."""

    name = serializers.CharField()
    number = serializers.IntegerField()
    version = serializers.CharField()
    format = serializers.CharField()
    content = serializers.JSONField()
    fingerprint = serializers.CharField()
    state = serializers.CharField(
        help_text='The schema\'s, or "pending" while the version waits for approval.'
    )
    approved_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    author_key = serializers.CharField(allow_null=True, help_text="Thumbprint of the key that signed it.")
    suspect = serializers.BooleanField(
        help_text="Whether that key was compromised already when the version was written."
    )
    created_at = serializers.DateTimeField()


class SchemaSerializer(serializers.Serializer[Any]):
    """A schema with its newest served version; see `schemas.representation`."""

    name = serializers.CharField()
    description = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    state = serializers.CharField()
    state_reason = serializers.CharField()
    deprecated_on = serializers.DateField(allow_null=True)
    successor = serializers.CharField(allow_null=True)
    compatibility = serializers.CharField()
    versions_need_approval = serializers.BooleanField()
    strict_writers_only = serializers.BooleanField()
    number = serializers.IntegerField(allow_null=True)
    version = serializers.CharField(allow_null=True)
    format = serializers.CharField(allow_null=True)
    fields = serializers.JSONField(allow_null=True)  # type: ignore[assignment]
    content = serializers.JSONField(allow_null=True)
    fingerprint = serializers.CharField(allow_null=True)
    suspect = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class MessageSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()


class ReportSerializer(serializers.Serializer[Any]):
    compatible = serializers.BooleanField()
    mode = serializers.CharField()
    policy = serializers.CharField()
    witness = serializers.CharField(allow_null=True)
    checked_against = serializers.ListField(child=serializers.IntegerField())
    differences = serializers.ListField(child=serializers.DictField())


class ValidationSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    problems = serializers.ListField(child=serializers.DictField())


class ReceiptSerializer(serializers.Serializer[Any]):
    schema = serializers.CharField()
    version = serializers.IntegerField()
    format = serializers.CharField()
    content = serializers.JSONField()
    fingerprint = serializers.CharField()
    client_id = serializers.CharField()
    key = serializers.DictField()
    request = serializers.DictField()
    received_at = serializers.DateTimeField()


class ReferenceSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    number = serializers.IntegerField()
    version = serializers.CharField()


class ReaderSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    client_id = serializers.CharField(allow_null=True)
    reads = serializers.IntegerField()
    last_read_on = serializers.DateField()
