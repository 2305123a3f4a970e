"""The operators' admin site."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite

from project.admin_base import DeniedOnRecord, note_refusal
from project.context import current_context
from project.search import find


class DataFoldAdminSite(UnfoldAdminSite):  # type: ignore[misc]
    site_header = "DataFold"
    site_title = "DataFold"
    index_title = "Dashboard"
    index_template = "admin/dashboard.html"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from project.dashboard import dashboard

        return super().index(request, {**dashboard(request), **(extra_context or {})})  # type: ignore[no-any-return]

    def admin_view(
        self, view: Callable[..., HttpResponseBase], cacheable: bool = False
    ) -> Callable[..., Any]:
        """As Django's, but who lacks a permission reads a page that says so, not JSON.

        What the context warns of, such as workers that could not be told, becomes a message.
        """

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                response = view(request, *args, **kwargs)
            except PermissionDenied as denied:
                if not isinstance(denied, DeniedOnRecord):
                    note_refusal(request)
                context = {**self.each_context(request), "title": "Not allowed"}
                return TemplateResponse(request, "admin/denied.html", context, status=403)
            for warning in current_context().warnings:
                messages.warning(request, warning)
            return response

        return super().admin_view(guarded, cacheable)  # type: ignore[no-any-return]

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Global search. Unfold's own caches results for minutes and walks whole tables; this does neither."""
        term = request.GET.get("s", "")
        if not term.strip():
            return HttpResponse()
        extended = "extended" in request.GET
        results = self._search_apps(self.get_app_list(request), term.lower())
        if extended:
            results = find(request, term) + results
        return TemplateResponse(
            request,
            "unfold/helpers/command_results.html" if extended else "unfold/helpers/search_results.html",
            {"results": results, "page_obj": {"count": len(results)}, "page_counter": 0, "execution_time": 0},
            headers={"HX-Trigger": "search"},
        )
