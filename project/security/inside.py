"""What asks for health and metrics knows a server by its address or by a name of its own network.

Prometheus and probes send `Host: 10.1.2.3:8000` or `web:8000`, which nobody can list in ALLOWED_HOSTS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

_PATHS = re.compile(r"/(metrics|health(/.*)?)")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.ASCII | re.IGNORECASE)


class InsideNamesMiddleware:
    """Answers health and metrics under an address, too, or a name without a dot.

    A page of somebody else's in a browser inside reaches neither by rebinding: its own name has a dot.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        listed = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"]
        if (
            listed
            and _PATHS.fullmatch(request.path_info)
            and is_inside_name(request.META.get("HTTP_HOST", ""))
        ):
            request.META["HTTP_HOST"] = listed[0]
        return self.get_response(request)


def is_inside_name(host: str) -> bool:
    """Whether a Host field (RFC 9110, section 7.2) names an IP address or a single label."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].strip("[]")
    try:
        ip_address(name)
    except ValueError:
        return "." not in name and ":" not in name
    return True
