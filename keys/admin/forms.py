"""What an operator fills in with each kind of decision."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts.models import Profile, Scope
from accounts.models.client import default_scopes
from keys.decisions import Details, Verb
from keys.lifecycle import ROTATION_NOTICE, default_expiry
from keys.models import Key, RevocationReason

LONGEST_LIFETIME_DAYS = 3650
REVOCATION_LABELS = {
    RevocationReason.UNSPECIFIED: "unspecified: none of the others",
    RevocationReason.KEY_COMPROMISE: "keyCompromise: somebody else has, or may have, the private key",
    RevocationReason.AFFILIATION_CHANGED: "affiliationChanged: the client belongs to somebody else now",
    RevocationReason.SUPERSEDED: "superseded: another key took over",
    RevocationReason.CESSATION_OF_OPERATION: "cessationOfOperation: the client is no longer in use",
    RevocationReason.PRIVILEGE_WITHDRAWN: "privilegeWithdrawn: the client may no longer do this",
}


class DateInput(forms.DateInput):
    """The browser's own picker: no script."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__({"class": " ".join(INPUT_CLASSES)}, format="%Y-%m-%d")


class DateTimeInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__({"class": " ".join(INPUT_CLASSES)}, format="%Y-%m-%dT%H:%M")


class DecisionForm(forms.Form):
    """A reason, demanded or not; the other forms add to it.

    Args:
        keys: those that the decision is about; one key's values are offered as they are.
    """

    reason = forms.CharField(max_length=500, required=False, widget=UnfoldAdminTextareaWidget({"rows": 2}))

    def __init__(self, *args: Any, keys: list[Key], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys
        self.order_fields([name for name in self.fields if name != "reason"] + ["reason"])

    def details(self) -> Details:
        return Details(reason=self.cleaned_data["reason"])


class ExplainedForm(DecisionForm):
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Kept in the audit log.",
    )


class RejectForm(ExplainedForm):
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="The client sees this when it signs with the key, and in its keys' status.",
    )


class SuspendForm(ExplainedForm):
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="The client sees this when it signs with the key, and in its keys' status.",
    )


class ApproveForm(DecisionForm):
    valid_until = forms.DateField(
        widget=DateInput(), help_text="The key expires at the end of this day (UTC)."
    )
    set_scopes = forms.BooleanField(
        required=False,
        label="Give every one of these clients exactly the scopes below",
        widget=UnfoldBooleanWidget(),
    )
    scopes = forms.MultipleChoiceField(
        required=False,
        choices=Scope.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        label="Client's scopes",
    )
    profile = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget(), label="Client's profile")

    def __init__(self, *args: Any, keys: list[Key], **kwargs: Any) -> None:
        super().__init__(*args, keys=keys, **kwargs)
        self.initial["valid_until"] = default_expiry().date()
        profiles: list[tuple[str, str]] = [(profile.value, profile.label) for profile in Profile]
        if len(keys) == 1:
            client = keys[0].client
            del self.fields["set_scopes"]
            own = [(scope, scope) for scope in client.scopes if scope not in Scope.values]
            self.fields["scopes"].choices = [*((s.value, s.value) for s in Scope), *own]  # type: ignore[attr-defined]
            self.initial = {**self.initial, "scopes": client.scopes, "profile": client.profile}
        else:
            profiles = [("", "As each client has it"), *profiles]
            self.fields["scopes"].choices = [(scope.value, scope.value) for scope in Scope]  # type: ignore[attr-defined]
            self.initial["scopes"] = default_scopes()
        self.fields["profile"].choices = profiles  # type: ignore[attr-defined]

    def clean_valid_until(self) -> datetime:
        return end_of_day(_between(self.cleaned_data["valid_until"], longest=LONGEST_LIFETIME_DAYS))

    def details(self) -> Details:
        scopes = sorted(self.cleaned_data["scopes"])
        keep = len(self.keys) > 1 and not self.cleaned_data["set_scopes"]
        if len(self.keys) == 1 and scopes == sorted(self.keys[0].client.scopes):
            keep = True
        profile = self.cleaned_data["profile"] or None
        if len(self.keys) == 1 and profile == self.keys[0].client.profile:
            profile = None
        return Details(
            reason=self.cleaned_data["reason"],
            expires_at=self.cleaned_data["valid_until"],
            scopes=None if keep else scopes,
            profile=profile,
        )


class ConfirmTermsForm(DecisionForm):
    """The second pair of eyes approves what the first one fixed."""


class RevokeForm(DecisionForm):
    revocation_reason = forms.ChoiceField(
        choices=[("", "Choose …"), *REVOCATION_LABELS.items()],
        widget=UnfoldAdminSelectWidget(),
        label="Reason (RFC 5280)",
        help_text="The client sees it when it signs with the key.",
    )
    compromised_since = forms.DateTimeField(
        required=False,
        widget=DateTimeInput(),
        label="Compromised since (UTC)",
        error_messages={"required": "Since when? Then what it signed is listed."},
        help_text="If known. Everything that the key signed from then on is listed as suspect.",
    )
    reason = forms.CharField(
        max_length=500,
        required=False,
        label="In your words",
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Kept in the audit log.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "preview" in self.data:
            for name, field in self.fields.items():
                field.required = name == "compromised_since"

    def clean_compromised_since(self) -> datetime | None:
        moment: datetime | None = self.cleaned_data["compromised_since"]
        if moment and moment > timezone.now():
            raise forms.ValidationError("This moment lies in the future.")
        return moment

    def details(self) -> Details:
        return Details(**self.cleaned_data)


class CompromiseForm(RevokeForm):
    """Since when, and why, of a key that verifies no more."""

    revocation_reason = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        since = self.fields["compromised_since"]
        since.required = True
        since.help_text = "Everything that the key signed from then on is listed as suspect."
        self.fields["reason"].required = "preview" not in self.data
        if len(self.keys) == 1:
            self.initial["compromised_since"] = self.keys[0].compromised_since


class RotationForm(DecisionForm):
    rotate_by = forms.DateField(
        widget=DateInput(),
        label="Rotate by",
        help_text="The client is warned on every signed request and by mail; the key goes on working.",
    )
    reason = forms.CharField(max_length=500, required=False, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["rotate_by"] = (timezone.now() + ROTATION_NOTICE).date()

    def clean_rotate_by(self) -> datetime:
        return end_of_day(_between(self.cleaned_data["rotate_by"], longest=365))

    def details(self) -> Details:
        return Details(**self.cleaned_data)


FORMS: dict[Verb, type[DecisionForm]] = {
    Verb.APPROVE: ApproveForm,
    Verb.REJECT: RejectForm,
    Verb.SUSPEND: SuspendForm,
    Verb.REACTIVATE: ExplainedForm,
    Verb.REVOKE: RevokeForm,
    Verb.REQUEST_ROTATION: RotationForm,
    Verb.ROLL_BACK: ExplainedForm,
    Verb.RETIRE: DecisionForm,
    Verb.REPORT_COMPROMISE: CompromiseForm,
}


def end_of_day(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), UTC)


def _between(day: date, *, longest: int) -> date:
    today = timezone.now().date()
    if day < today:
        raise forms.ValidationError("This day has passed.")
    if day > today + timedelta(days=longest):
        raise forms.ValidationError(f"At most {longest} days from now.")
    return day
