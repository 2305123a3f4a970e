"""Numbered system checks on where webhooks may go."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from accounts.webhooks.targets import is_allowed


@register(Tags.security)
def check_webhook_networks(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    for network in settings.DATAFOLD_WEBHOOK_ALLOWED_NETWORKS:
        try:
            parsed = ipaddress.ip_network(network)
        except ValueError:
            problems.append(
                Error(
                    f"DATAFOLD_WEBHOOK_ALLOWED_NETWORKS: {network!r} is not a network in CIDR notation.",
                    hint="Write it like 10.20.0.0/16, without host bits.",
                    id="datafold.E030",
                )
            )
            continue
        closed = not is_allowed(parsed[0]) or not is_allowed(parsed[-1])
        if closed and not settings.DATAFOLD_DEVELOPMENT:
            problems.append(
                Warning(
                    f"DATAFOLD_WEBHOOK_ALLOWED_NETWORKS lets webhooks reach {network}, which is not public.",
                    hint="Every client with the scope webhooks:manage can have this server call hosts in there. "
                    "Name single receivers (/32, /128), or leave it empty.",
                    id="datafold.W030",
                )
            )
    return problems
