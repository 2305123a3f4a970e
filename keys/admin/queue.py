"""The approval queue: what waits, longest first, with what is needed to decide."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from keys.admin.evidence import evidence_of
from keys.decisions import load
from keys.models import Key
from project.admin_base import CappedPaginator

PER_PAGE = 20


def queue_view(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """A page of 20, oldest first. The number of queries does not depend on what waits."""
    if not request.user.has_perm("keys.view_key"):
        raise PermissionDenied
    waiting = Key.objects.awaiting_decision().order_by("registered_at", "id")
    paginator = CappedPaginator(waiting.values_list("pk", flat=True), PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    ids: list[uuid.UUID] = list(page.object_list)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Approval queue",
        "page": page,
        "count": paginator.count,
        "items": evidence_of(load(ids)),
        "now": timezone.now(),
        "may_approve": request.user.has_perm("keys.approve_key"),
        "may_reject": request.user.has_perm("keys.reject_key"),
    }
    return TemplateResponse(request, "keys/queue.html", context)
