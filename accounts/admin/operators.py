"""Operators: admins manage them, everybody else with the permission looks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultiple

from accounts.models import User
from accounts.operators import may_manage, operator_facts, record_operator
from accounts.roles import Role
from project.admin_base import ConsoleAdmin, operator

admin.site.unregister(Group)  # Roles are a table in code, not something to click together.

ROLES_HELP = "admin: everything. manager: keys, clients and schemas. auditor: reads everything, changes nothing."


def role_field() -> forms.ModelMultipleChoiceField:  # type: ignore[type-arg]
    return forms.ModelMultipleChoiceField(
        queryset=Group.objects.filter(name__in=list(Role)).order_by("name"),
        required=False,
        label="Roles",
        help_text=ROLES_HELP,
        widget=UnfoldAdminCheckboxSelectMultiple(),
    )


class OperatorChangeForm(UserChangeForm):  # type: ignore[misc]
    groups = role_field()


class OperatorCreationForm(UserCreationForm):  # type: ignore[misc]
    groups = role_field()

    class Meta(UserCreationForm.Meta):  # type: ignore[misc]
        model = User
        fields = ("username", "email", "groups")


@admin.register(User)
class OperatorAdmin(DjangoUserAdmin, ConsoleAdmin):  # type: ignore[misc,type-arg]
    """Nobody changes their own roles or activity, and only admins change anybody's."""

    form = OperatorChangeForm
    add_form = OperatorCreationForm
    change_password_form = AdminPasswordChangeForm
    audit_kind = "operator"
    list_display = ["username", "first_name", "last_name", "email", "show_roles", "show_active", "last_login"]
    list_filter = ["is_active", "groups"]
    search_fields = ["username", "email"]
    sortable_by = ["username", "last_login"]
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("What they may do", {"fields": ["is_active", "groups"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    )
    add_fieldsets = ((None, {"fields": ["username", "email", "usable_password", "password1", "password2", "groups"]}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")  # type: ignore[no-any-return]

    @display(description="roles")
    def show_roles(self, user: User) -> str:
        return "admin (superuser)" if user.is_superuser else ", ".join(group.name for group in user.groups.all()) or "none"

    @display(description="active", label={"active": "success", "inactive": "danger"})
    def show_active(self, user: User) -> str:
        return "active" if user.is_active else "inactive"

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        own = ["is_active", "groups"] if obj is not None and obj.pk == request.user.pk else []
        return ["last_login", "date_joined", *own]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and may_manage(_user(request))

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and may_manage(_user(request), obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Decisions are by name: an operator who leaves is made inactive."""
        return False

    @transaction.atomic
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return super().changeform_view(request, object_id, form_url, extra_context)  # type: ignore[no-any-return]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj._facts_before = operator_facts(User.objects.get(pk=obj.pk)) if change else None  # type: ignore[attr-defined]
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Roles are saved here, so here the change is complete."""
        super().save_related(request, form, formsets, change)
        user = form.instance
        record_operator(
            user,
            actor=operator(request),
            action="operator.changed" if change else "operator.created",
            before=user._facts_before,
            after=operator_facts(User.objects.get(pk=user.pk)),
        )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
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
