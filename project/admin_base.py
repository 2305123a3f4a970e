"""What every page of the admin has in common: bounded lists, history from the audit log, saved order."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import EmptyResultSet, PermissionDenied
from django.core.paginator import Paginator
from django.db import connections
from django.db.models import Model, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from accounts.audit import Actor, record_refused
from accounts.models import AuditEvent, Client, User

COUNT_CAP = 1_000
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)$")
HISTORY_LENGTH = 200


def capped_count(rows: QuerySet[Any], cap: int) -> int:
    """How many rows, counted by the database to `cap` at most.

    Django's own count() of a slice selects the primary key, and that is a look into the table for each
    row; of a constant an index alone answers it.
    """
    try:
        sql, parameters = rows.order_by().values_list(Value(1))[:cap].query.sql_with_params()
    except EmptyResultSet:
        return 0
    with connections[rows.db].cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM ({sql}) AS counted", parameters)  # noqa: S608  sql is the ORM's
        return int(cursor.fetchone()[0])


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts to 1,000 and no further: an exact count of 10⁷ rows takes seconds and helps nobody.

    What lies beyond is reached by filter and search.
    """

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return capped_count(rows, COUNT_CAP)


class ConsoleAdmin(ModelAdmin):  # type: ignore[misc]
    """A list that stays fast and an object whose history is the audit log's.

    `audit_kind` is the `target_kind` of the object's audit events; "" means it has none.
    """

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True
    compressed_fields = True
    show_facets = False
    audit_kind = ""

    def audit_id(self, obj: Any) -> str:
        """The `target_id` of the object's audit events."""
        return str(obj.pk)

    def panels(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the object's page shows around its fields; only asked of who may view the object."""
        return {}

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        panels = self.panels(request, obj) if obj and self.has_view_permission(request, obj) else {}
        return super().change_view(request, object_id, form_url, {**panels, **(extra_context or {})})  # type: ignore[no-any-return]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Who did what to this object, with before and after."""
        obj = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, obj) or not request.user.has_perm(
            "accounts.view_auditevent"
        ):
            raise PermissionDenied
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        events = AuditEvent.objects.filter(target_kind=self.audit_kind, target_id=self.audit_id(obj))
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {obj}",
            "opts": self.opts,
            "original": obj,
            "events": described(list(events[:HISTORY_LENGTH])),
            "history_length": HISTORY_LENGTH,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/audit_history.html", context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        keep_order(request, self.opts.label_lower)
        return super().changelist_view(request, extra_context)  # type: ignore[no-any-return]

    # The audit log is the one record; Django's own log of admin actions would be a second, weaker one.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None


class ReadOnlyAdmin(ConsoleAdmin):
    """May be looked at by who holds the view permission, and changed by nobody."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def keep_order(request: HttpRequest, label: str) -> None:
    """Remember for the session how this operator last sorted this list."""
    saved = request.session.get("list_order", {})
    if "o" in request.GET:
        order = request.GET["o"][:40]
        if saved.get(label) != order:
            request.session["list_order"] = {**saved, label: order}
    elif label in saved:
        parameters = request.GET.copy()
        parameters["o"] = saved[label]
        request.GET = parameters  # type: ignore[assignment]


def operator(request: HttpRequest) -> Actor:
    """The person at the keyboard, for the audit log."""
    assert isinstance(request.user, User)  # noqa: S101  the admin site lets nobody else in
    return Actor.operator(request.user)


class DeniedOnRecord(PermissionDenied):
    """A permission is missing, and the attempt is in the audit log already."""


def note_refusal(request: HttpRequest, code: str = "PERMISSION_DENIED") -> None:
    """Put on record that this operator was refused what this request asks for; looking around is not recorded."""
    if request.method == "POST" and isinstance(request.user, User):
        record_refused(user=request.user, call=f"POST {request.path}", code=code)


def client_link(client: Client) -> SafeString:
    """The client's name as a link to its page."""
    link = reverse("admin:accounts_client_change", args=[client.pk])
    return format_html('<a class="df-link" href="{}">{}</a>', link, client.client_id)


def described(events: list[AuditEvent]) -> list[dict[str, Any]]:
    """Events with the rows of their before/after table."""
    return [{"event": event, "changes": change_rows(event.before, event.after)} for event in events]


def change_rows(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One row for each fact named on either side."""
    before, after = before or {}, after or {}
    return [
        {
            "name": name.replace("_", " "),
            "before": shown(before.get(name)) if name in before else "",
            "after": shown(after.get(name)) if name in after else "",
            "had": name in before,
            "has": name in after,
        }
        for name in dict.fromkeys([*before, *after])
    ]


def shown(value: Any) -> str:
    """A JSON value as a person reads it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {shown(item)}" for name, item in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _instant(str(value)) or str(value)


def _instant(text: str) -> str:
    """A moment as `isoformat` writes it, without its microseconds; "" for any other text."""
    try:
        moment = parse_datetime(text) if _INSTANT.match(text) else None
    except ValueError:  # it has the form and is none: strangers' metadata is shown here, too
        moment = None
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
