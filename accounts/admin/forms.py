"""Forms of the client pages."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.http import QueryDict
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.clients import CHANGEABLE, ClientStateConflict, refuse_if_changed, snapshot
from accounts.models import Client, Scope
from accounts.models.client import default_scopes


class LinesField(forms.CharField):
    """A list of strings, one on each line."""

    widget = UnfoldAdminTextareaWidget({"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))


class ClientForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything an operator may set; the state changes on its own page."""

    scopes = forms.MultipleChoiceField(
        required=False,
        choices=[(scope.value, scope.value) for scope in Scope],
        initial=default_scopes,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    allowed_networks = LinesField(
        required=False,
        help_text="One network in CIDR notation on each line, such as 10.0.0.0/8. Empty: anywhere.",
    )
    change_reason = forms.CharField(
        required=False,
        max_length=500,
        label="Why this change",
        widget=UnfoldAdminTextInputWidget(),
        help_text="Kept in the audit log.",
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput())

    class Meta:
        model = Client
        widgets: ClassVar = {"metadata": UnfoldAdminTextareaWidget({"rows": 3})}
        help_texts: ClassVar = {
            "client_id": "What the client signs its requests as (keyid); it never changes. Letters, digits and . _ -",
            "owner": "Who answers for it. Under four eyes an owner does not approve its keys.",
            "contact_email": "Warned before a key expires, and asked to rotate.",
            "profile": "How strictly signatures are judged: strict 60 s, standard 300 s, lenient only to develop.",
            "metadata": "A JSON object of at most 10 names.",
        }
        fields = [
            "client_id",
            "name",
            "owner",
            "contact_email",
            "scopes",
            "profile",
            "allowed_networks",
            "rate_limit",
            "metadata",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = [scope for scope in self.instance.scopes if scope not in Scope.values]
        if "scopes" in self.fields:
            self.fields["scopes"].choices = [(scope, scope) for scope in [*Scope.values, *others]]  # type: ignore[attr-defined]
        if self.instance.pk and "seen" in self.fields:
            self.initial["seen"] = snapshot(self.instance)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.instance.pk:
            stored = Client.objects.select_related("owner").get(pk=self.instance.pk)
            try:
                refuse_if_changed(stored, cleaned.get("seen", ""))
            except ClientStateConflict as error:
                # The next attempt is about what is shown now.
                resent = cast("QueryDict", self.data).copy()
                resent[self.add_prefix("seen")] = snapshot(stored)
                self.data = resent
                raise forms.ValidationError(error.message) from error
        return cleaned

    def changed_values(self) -> dict[str, Any]:
        """The values that the operator changed, as the service takes them."""
        return {name: self.cleaned_data[name] for name in CHANGEABLE if name in self.changed_data}


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        strip=True,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Kept in the audit log. A suspended client sees it in every answer.",
    )
