"""Operators: admins manage them, everybody else with the permission looks."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin.account_acts import account_state, act_view
from accounts.admin.own_tokens import own_tokens_view
from accounts.audit import Actor
from accounts.authentication.second_factor import STRONG
from accounts.models import User
from accounts.operators import (
    OperatorStateConflict,
    change_role,
    create_operator,
    deactivate_operator,
    may_manage,
    operator_facts,
    reactivate_operator,
    record_operator,
    refuse_if_changed,
    snapshot,
)
from accounts.roles import Role
from project.admin_base import ConsoleAdmin, note_refusal, operator
from project.errors import DomainError

admin.site.unregister(Group)  # Roles are a table in code, not something to click together.

ROLES_HELP = (
    "admin: everything. manager: keys, clients and schemas. auditor: reads everything, changes nothing."
)


def role_field() -> forms.ChoiceField:
    return forms.ChoiceField(
        choices=[("", "none"), *((role.value, role.value) for role in reversed(Role))],
        required=False,
        help_text=ROLES_HELP,
        widget=UnfoldAdminSelectWidget(),
    )


class OperatorChangeForm(UserChangeForm):  # type: ignore[misc]
    data: Any
    role = role_field()
    reason = forms.CharField(
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Kept in the audit log. Letting somebody in again, or giving a role that may do more, demands one.",
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        roles = self.instance.roles
        self.initial["role"] = roles[0].value if roles else ""
        self.initial["seen"] = snapshot(self.instance)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        try:
            refuse_if_changed(self.instance, cleaned.get("seen", ""))
        except OperatorStateConflict as error:
            self._show_what_is_now()
            raise forms.ValidationError(error.message) from error
        return cleaned

    def _show_what_is_now(self) -> None:
        """The next attempt is about what is shown now: a role or activity from before is not sent again unseen."""
        stored = User.objects.get(pk=self.instance.pk)
        now = OperatorChangeForm(instance=stored).initial
        resent = self.data.copy()
        for name in {"role", "seen"} & set(self.fields):
            resent[self.add_prefix(name)] = now[name]
        if "is_active" in self.fields:
            resent.pop(self.add_prefix("is_active"), None)
            if stored.is_active:
                resent[self.add_prefix("is_active")] = "on"
        self.data = resent


class OperatorPasswordForm(AdminPasswordChangeForm):  # type: ignore[misc]
    def save(self, commit: bool = True) -> User:
        """Only the password: of the row as the page was made nothing else is true any more."""
        user: User = super().save(commit=False)
        if commit:
            user.save(update_fields=["password"])
        return user


class OperatorCreationForm(UserCreationForm):  # type: ignore[misc]
    role = role_field()

    class Meta(UserCreationForm.Meta):  # type: ignore[misc]
        model = User
        fields = ("username", "email")


@admin.register(User)
class OperatorAdmin(DjangoUserAdmin, ConsoleAdmin):  # type: ignore[misc,type-arg]
    """Nobody changes their own role or activity, and only admins change anybody's (`accounts.operators`)."""

    form = OperatorChangeForm
    add_form = OperatorCreationForm
    change_password_form = OperatorPasswordForm
    audit_kind = "operator"
    list_display = [
        "username",
        "show_name",
        "email",
        "show_roles",
        "show_active",
        "show_second_factor",
        "last_login",
    ]
    list_filter = ["is_active", "groups"]
    search_fields = ["username", "email"]
    search_help_text = "A part of the username or e-mail address."
    change_form_outer_before_template = "admin/operator_top.html"
    sortable_by = ["username", "last_login"]
    filter_horizontal = ()
    add_fieldsets = ((None, {"fields": ["username", "email", "password1", "password2", "role"]}),)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        seen = ["seen"] if self.has_change_permission(request, obj) else []
        decided = (
            ["is_active", "role", "reason"]
            if self.may_decide(request, obj)
            else ["show_active", "show_roles"]
        )
        return (
            ("Person", {"fields": ["first_name", "last_name", "email", *seen]}),
            ("What they may do", {"fields": decided}),
            ("Dates", {"fields": ["last_login", "date_joined"]}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        return ["last_login", "date_joined", "show_active", "show_roles", *(["username"] if obj else [])]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        factor = Authenticator.objects.filter(user_id=OuterRef("pk"), type__in=STRONG)
        users: QuerySet[User] = super().get_queryset(request).prefetch_related("groups")
        return users.annotate(second_factor=Exists(factor))

    @display(description="roles")
    def show_roles(self, user: User) -> str:
        if user.is_superuser:
            return "admin (superuser)"
        return ", ".join(group.name for group in user.groups.all()) or "none"

    @display(description="name")
    def show_name(self, user: User) -> str:
        return user.get_full_name() or "-"

    @display(description="second factor", label={"set up": "success", "none": "warning"})
    def show_second_factor(self, user: Any) -> str:
        return "set up" if user.second_factor else "none"

    @display(description="active", label={"active": "success", "inactive": "danger"})
    def show_active(self, user: User) -> str:
        return "active" if user.is_active else "inactive"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and may_manage(_user(request))

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and may_manage(_user(request), obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Decisions are by name: an operator who leaves is made inactive."""
        return False

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(lambda request, user_pk, act: act_view(self, request, user_pk, act))
        tokens = self.admin_site.admin_view(lambda request: own_tokens_view(self.admin_site, request))
        return [
            path("tokens/", tokens, name="accounts_user_tokens"),
            path("<int:user_pk>/act/<slug:act>/", act, name="accounts_user_act"),
            *super().get_urls(),
        ]

    def panels(self, request: HttpRequest, obj: User) -> dict[str, Any]:
        return {
            "may_decide": self.may_decide(request, obj),
            "own_account": obj.pk == request.user.pk,
            **account_state(obj),
        }

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A refusal of the service undoes the whole form and is said in its words."""
        try:
            with transaction.atomic():
                return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            note_refusal(request, error.code)
            messages.error(request, error.message)
            return redirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            self._change(request, obj, form)
            return
        role = form.cleaned_data["role"]
        created, _ = create_operator(
            actor=operator(request),
            username=obj.username,
            email=obj.email,
            password=form.cleaned_data["password1"],
            role=Role(role) if role else None,
        )
        obj.pk = created.pk
        obj.refresh_from_db()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The role was given with everything else; Django's own would save the form's groups again."""

    def _change(self, request: HttpRequest, obj: User, form: Any) -> None:
        actor, reason = operator(request), form.cleaned_data.get("reason", "")
        stored = User.objects.get(pk=obj.pk)
        before = operator_facts(stored)
        for name in {"first_name", "last_name", "email"} & set(form.changed_data):
            setattr(stored, name, form.cleaned_data[name])
        stored.save(update_fields=["first_name", "last_name", "email"])
        record_operator(
            stored,
            actor=actor,
            action="operator.changed",
            before=before,
            after=operator_facts(stored),
            reason=reason,
        )
        if self.may_decide(request, stored):
            self._decide(stored, form, actor, reason)
        obj.refresh_from_db()

    def _decide(self, stored: User, form: Any, actor: Actor, reason: str) -> None:
        if "role" in form.changed_data:
            role = form.cleaned_data["role"]
            change_role(stored, actor=actor, role=Role(role) if role else None, reason=reason)
        if "is_active" in form.changed_data:
            switch = reactivate_operator if form.cleaned_data["is_active"] else deactivate_operator
            switch(stored, actor=actor, reason=reason)

    def may_decide(self, request: HttpRequest, obj: User) -> bool:
        """Whether this admin decides about that account: never about their own."""
        return obj.pk != request.user.pk and self.has_change_permission(request, obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        user = self.get_object(request, unquote(id))
        if user is not None and user.pk == request.user.pk:
            return redirect("account_change_password")  # which asks for the old one
        with transaction.atomic():
            response = super().user_change_password(request, id, form_url)
            if request.method == "POST" and response.status_code == 302:
                record_operator(
                    User.objects.get(pk=id),
                    actor=operator(request),
                    action="operator.password_changed",
                    before=None,
                    after=None,
                )
        return response


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  the admin site lets nobody else in
    return request.user
