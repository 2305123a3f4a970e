"""Who fails too often is locked out: what django-axes counts by, and what it answers."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from math import ceil
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, Sum
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from accounts.authentication.errors import LoginLocked
from project.proxies import caller_network, client_address

API_PREFIX = "/api/"
USERNAME_LENGTH = 150


def lock_address(request: HttpRequest) -> str | None:
    """The address that failures are counted for (AXES_CLIENT_IP_CALLABLE).

    An IPv6 host owns a whole /64 and can change its address with every attempt, so the network counts.
    """
    network = caller_network(client_address(request))
    address = f"{network}::" if ":" in network else network
    try:
        ip_address(address)
    except ValueError:
        return None
    return address


def lock_username(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The name that failures are counted for (AXES_USERNAME_CALLABLE): one for all ways to spell it."""
    return spelt(str((credentials or {}).get("username") or ""))


@dataclass(frozen=True, slots=True)
class Lock:
    """One name that is locked out for one address (or IPv6 network), until then."""

    address: str
    until: datetime


def locks_of(username: str) -> list[Lock]:
    """Where this operator's name is locked out now."""
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    attempts = (
        AccessAttempt.objects.filter(username=spelt(username), attempt_time__gt=since)
        .order_by()
        .values("ip_address")
        .annotate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
        .filter(failures__gte=settings.AXES_FAILURE_LIMIT)
    )
    return [
        Lock(attempt["ip_address"] or "unknown", attempt["last"] + settings.AXES_COOLOFF_TIME)
        for attempt in attempts
    ]


def lift_locks(username: str) -> None:
    """Forget every failed attempt under this name."""
    AccessAttempt.objects.filter(username=spelt(username)).delete()


def spelt(name: str) -> str:
    """One spelling for all ways to write a name."""
    return unicodedata.normalize("NFKC", name).strip().casefold()[:USERNAME_LENGTH]


def lockout_response(
    request: HttpRequest, response: HttpResponseBase | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponseBase:
    """What a locked-out person reads (AXES_LOCKOUT_CALLABLE); the API has answered in its envelope already."""
    if response is not None and request.path.startswith(API_PREFIX):
        return response
    seconds = seconds_left(request, credentials)
    page = render(request, "account/locked.html", {"minutes": ceil(seconds / 60)}, status=429)
    page["Retry-After"] = str(seconds)
    return page


def refuse_locked(request: HttpRequest, username: str) -> None:
    """Raises `LoginLocked` while this name is locked out for this request's address."""
    credentials = {"username": username}
    if AxesProxyHandler.is_allowed(request, credentials):
        return
    seconds = seconds_left(request, credentials)
    raise LoginLocked(
        f"Too many failed attempts for this operator from this address. Try again in {ceil(seconds / 60)} minutes, "
        "or ask an admin.",
        retry_after=seconds,
    )


def seconds_left(request: HttpRequest, credentials: dict[str, Any] | None) -> int:
    """Until the lock ends; at least 1."""
    AxesProxyHandler.update_request(request)
    attempts = AxesProxyHandler.get_implementation().get_user_attempts(request, credentials)
    last = [moment for rows in attempts for moment in rows.values_list("attempt_time", flat=True)]
    cool_off: timedelta = settings.AXES_COOLOFF_TIME
    left = max(last) + cool_off - timezone.now() if last else cool_off
    return max(1, ceil(left.total_seconds()))
