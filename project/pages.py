"""The few public pages."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from project.api.envelope import success


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """Where things are: a page for a browser, the envelope for a program."""
    if "text/html" in request.headers.get("Accept", ""):
        return render(request, "home.html", {"name": settings.APP_NAME, "version": settings.VERSION})
    return JsonResponse(
        success(
            {
                "message": f"Welcome to {settings.APP_NAME}",
                "version": settings.VERSION,
                "docs": "/docs",
                "health": "/health/",
                "api": "/api/v1/",
            }
        )
    )
