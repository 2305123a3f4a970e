"""The four health calls. None of them needs a part of the system to answer."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from project.api.envelope import failure, rfc3339, success
from project.health.parts import (
    needed_parts,
    probes,
    process_facts,
    report,
    serving_parts,
    uptime_seconds,
)
from project.health.probes import Facts
from project.proxies import client_address, in_networks

RETRY_SECONDS = "2"


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """This process answers. Nothing else is looked at: a restart would not mend it."""
    return JsonResponse(success({"status": "healthy"}))


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """This process can serve: migrations are applied and every needed part answers; else 503."""
    parts = probes().ask([*serving_parts(), "migrations"])
    sick = [name for name, facts in parts.items() if facts["status"] != "healthy"]
    if not sick:
        return JsonResponse(success({"status": "healthy", "parts": _states(parts)}))
    error = {
        "code": "SERVICE_UNAVAILABLE",
        "message": f"Not ready: {', '.join(sick)}. See details.",
        "status": 503,
        "details": {"parts": parts},
    }
    response = JsonResponse(failure(error, path=request.path), status=503)
    response["Retry-After"] = RETRY_SECONDS
    return response


@require_safe
def summary(request: HttpRequest) -> JsonResponse:
    """Status, version and time; what a person's browser or a simple monitor asks."""
    parts = probes().ask(needed_parts())
    return JsonResponse(
        success(
            {
                "status": _overall(parts),
                "timestamp": rfc3339(timezone.now()),
                "version": settings.VERSION,
                "environment": "development" if settings.DATAFOLD_DEVELOPMENT else "production",
                "services": _states(parts),
            }
        ),
        status=200 if _overall(parts) == "healthy" else 503,
    )


@require_safe
def detailed(request: HttpRequest) -> JsonResponse:
    """Everything that a person on call looks at first.

    Always 200: it is a report and not a probe, and its readers want it most when something is down.
    What the parts say may be some seconds old.
    Figures are for DATAFOLD_METRICS_NETWORKS and for operators; anybody else reads which parts are well.
    """
    parts = report.read()
    answer: Facts = {
        "application": {"name": settings.APP_NAME, "version": settings.VERSION, "status": _overall(parts)},
        "services": _states(parts),
    }
    if _may_read_figures(request):
        answer["application"]["uptime_seconds"] = uptime_seconds()
        answer["system"] = process_facts()
        answer["configuration"] = {
            "debug": settings.DEBUG,
            "datafold_auth_enabled": settings.DATAFOLD_ENABLE_AUTH,
            "datafold_auth_required": settings.DATAFOLD_REQUIRE_AUTH,
            "registration_policy": settings.DATAFOLD_REGISTRATION_POLICY,
        }
        answer["services"] = parts
    return JsonResponse(success(answer))


def _may_read_figures(request: HttpRequest) -> bool:
    if in_networks(client_address(request), settings.DATAFOLD_METRICS_NETWORKS):
        return True
    # The session is read from the database: while that hangs, so would this answer. The report may be too old to say.
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    if probes().ask(["database"])["database"]["status"] != "healthy":
        return False
    return isinstance(request.user, User) and request.user.is_active


def _overall(parts: dict[str, Facts]) -> str:
    return "healthy" if all(facts["status"] == "healthy" for facts in parts.values()) else "unhealthy"


def _states(parts: dict[str, Facts]) -> dict[str, Facts]:
    return {name: {"status": facts["status"]} for name, facts in parts.items()}
