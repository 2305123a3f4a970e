"""What an operator fills in with each decision on a schema."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.models import Client
from keys.admin.forms import DateInput, DateTimeInput
from schemas.decisions import MAX_BREAK_GLASS
from schemas.models import Schema

WHO_READS_IT = "Kept in the audit log, and told to clients that use the schema."


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text=WHO_READS_IT,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields([name for name in self.fields if name != "reason"] + ["reason"])


class ExplainedForm(ReasonForm):
    reason = forms.CharField(
        max_length=500, widget=UnfoldAdminTextareaWidget({"rows": 2}), help_text=WHO_READS_IT
    )


class DeprecateForm(ReasonForm):
    on = forms.DateField(label="Out of use on", widget=DateInput())
    successor = forms.CharField(
        required=False,
        max_length=100,
        label="Use instead",
        help_text="Name of another schema; empty if there is none.",
        widget=UnfoldAdminTextInputWidget(),
    )

    def clean_successor(self) -> Schema | None:
        name = self.cleaned_data["successor"]
        if not name:
            return None
        schema = Schema.objects.alive().filter(name=name).first()
        if schema is None:
            raise forms.ValidationError(f"There is no schema {name}.")
        return schema


class BreakGlassForm(ExplainedForm):
    until = forms.DateTimeField(
        label="Until (UTC)", widget=DateTimeInput(), help_text=f"At most {MAX_BREAK_GLASS.days} days ahead."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"].initial = timezone.now() + timedelta(hours=1)

    def clean_until(self) -> Any:
        until = self.cleaned_data["until"].astimezone(UTC)
        if until > timezone.now() + MAX_BREAK_GLASS:
            raise forms.ValidationError(f"At most {MAX_BREAK_GLASS.days} days ahead.")
        return until


class OwnerForm(ExplainedForm):
    owner = forms.CharField(
        max_length=64, label="New owner", help_text="client_id", widget=UnfoldAdminTextInputWidget()
    )

    def clean_owner(self) -> Client:
        client = Client.objects.filter(client_id=self.cleaned_data["owner"]).first()
        if client is None:
            raise forms.ValidationError(f"There is no client {self.cleaned_data['owner']}.")
        return client
