"""Enrolment tokens: issued here, shown once, kept as a hash."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from accounts.models import Client
from keys.invitations import withdraw_token
from keys.models import EnrolmentToken
from keys.registration import issue_token
from project.admin_base import ReadOnlyAdmin, client_link, note_refusal, operator
from project.errors import DomainError


class InvitationForm(forms.Form):
    days = forms.IntegerField(
        min_value=1,
        max_value=90,
        initial=7,
        label="Valid for (days)",
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    note = forms.CharField(
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Whom you give it to and what for. Kept in the audit log.",
    )


def standing(token: EnrolmentToken) -> str:
    if token.used_at:
        return "used"
    return "open" if token.expires_at > timezone.now() else "expired"


@admin.register(EnrolmentToken)
class EnrolmentTokenAdmin(ReadOnlyAdmin):
    audit_kind = "enrolment_token"
    list_display = [
        "show_token",
        "show_client",
        "show_standing",
        "note",
        "show_issuer",
        "issued_at",
        "expires_at",
        "used_at",
    ]
    list_display_links = ["show_token"]
    list_select_related = ["client", "issued_by"]
    list_filter = [("used_at", admin.EmptyFieldListFilter)]
    sortable_by: list[str] = []
    fields = ["show_client", "note", "issued_by", "issued_at", "expires_at", "used_at", "used_for"]
    readonly_fields = ["show_client"]
    list_before_template = "keys/token_list_top.html"
    change_form_outer_before_template = "keys/token_top.html"

    @display(description="token")
    def show_token(self, token: EnrolmentToken) -> str:
        return f"#{token.pk}"

    @display(description="client")
    def show_client(self, token: EnrolmentToken) -> str:
        if token.client is None:
            return "a new client"
        return client_link(token.client)

    @display(description="issued by")
    def show_issuer(self, token: EnrolmentToken) -> str:
        return token.issued_by.get_username() if token.issued_by else "-"

    @display(description="state", label={"open": "info", "used": "success", "expired": "warning"})
    def show_standing(self, token: EnrolmentToken) -> str:
        return standing(token)

    def get_queryset(self, request: HttpRequest) -> QuerySet[EnrolmentToken]:
        return super().get_queryset(request).select_related("used_for__client")  # type: ignore[no-any-return]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("issue/", wrap(self.issue_view), name="keys_enrolmenttoken_issue"),
            path("<int:token_pk>/withdraw/", wrap(self.withdraw_view), name="keys_enrolmenttoken_withdraw"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may_issue = request.user.has_perm("keys.add_enrolmenttoken")
        return super().changelist_view(request, {"may_issue": may_issue, **(extra_context or {})})

    def panels(self, request: HttpRequest, obj: EnrolmentToken) -> dict[str, Any]:
        may_withdraw = standing(obj) == "open" and request.user.has_perm("keys.change_enrolmenttoken")
        return {"token": obj, "may_withdraw": may_withdraw}

    def issue_view(self, request: HttpRequest) -> HttpResponse:
        """A form, then a POST whose answer shows the token: the only time that anybody sees it."""
        if not request.user.has_perm("keys.add_enrolmenttoken"):
            raise PermissionDenied
        client = _client(request)
        form = InvitationForm(request.POST or None)
        token = ""
        if request.method == "POST" and form.is_valid():
            _, token = issue_token(
                issued_by=operator(request).user,  # type: ignore[arg-type]
                client=client,
                note=form.cleaned_data["note"],
                lifetime=timedelta(days=form.cleaned_data["days"]),
            )
        context = {
            **self.admin_site.each_context(request),
            "title": f"Enrolment token for {client.client_id}"
            if client
            else "Enrolment token for a new client",
            "client": client,
            "form": form,
            "token": token,
        }
        response = TemplateResponse(request, "keys/token_issue.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def withdraw_view(self, request: HttpRequest, token_pk: int) -> HttpResponse:
        if not request.user.has_perm("keys.change_enrolmenttoken"):
            raise PermissionDenied
        token = EnrolmentToken.objects.select_related("client", "issued_by").filter(pk=token_pk).first()
        if token is None:
            raise Http404
        if request.method == "POST":
            try:
                withdraw_token(token, actor=operator(request))
                messages.success(request, "The token no longer works.")
            except DomainError as error:
                note_refusal(request, error.code)
                messages.error(request, error.message)
            return redirect("admin:keys_enrolmenttoken_change", token.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Withdraw the enrolment token #{token.pk}",
            "token": token,
        }
        return TemplateResponse(request, "keys/token_withdraw.html", context)


def _client(request: HttpRequest) -> Client | None:
    given = request.GET.get("client") or request.POST.get("client")
    if not given:
        return None
    client = Client.objects.filter(pk=given).first() if given.isdigit() else None
    if client is None:
        raise Http404
    return client
