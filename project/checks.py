"""Numbered system checks: every risky combination of settings, refused or warned of before it runs."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from accounts.models import Scope
from project.encryption import encryption_key_problem
from project.ratelimit import parse_rate


@register(Tags.security)
def check_authentication(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if not settings.DATAFOLD_ENABLE_AUTH and not settings.DATAFOLD_DEVELOPMENT:
        problems.append(
            Error(
                "DATAFOLD_ENABLE_AUTH is off outside development: anybody could write schemas.",
                hint="Set DATAFOLD_ENABLE_AUTH=true, or ask for development mode with DATAFOLD_DEVELOPMENT=true.",
                id="datafold.E001",
            )
        )
    if settings.DEBUG and not settings.DATAFOLD_DEVELOPMENT:
        problems.append(
            Error(
                "DEBUG is on outside development: error pages would show settings and source.",
                hint="Set DEBUG=false, or ask for development mode with DATAFOLD_DEVELOPMENT=true.",
                id="datafold.E002",
            )
        )
    if settings.DATAFOLD_REGISTRATION_POLICY == "open" and not settings.DATAFOLD_DEVELOPMENT:
        problems.append(
            Warning(
                "DATAFOLD_REGISTRATION_POLICY is open: every key that registers is active at once.",
                hint="Use approval or invite, unless everybody who reaches this server may sign.",
                id="datafold.W001",
            )
        )
    if settings.DATAFOLD_DEFAULT_PROFILE == "lenient" and not settings.DATAFOLD_DEVELOPMENT:
        problems.append(
            Warning(
                "DATAFOLD_DEFAULT_PROFILE is lenient: safe requests may go without a nonce.",
                hint="Use standard or strict.",
                id="datafold.W002",
            )
        )
    problems += [
        Error(
            f"DATAFOLD_DEFAULT_SCOPES: {scope!r} is no scope, and nobody could register.",
            hint=f"Take from {', '.join(Scope.values)}.",
            id="datafold.E011",
        )
        for scope in settings.DATAFOLD_DEFAULT_SCOPES
        if scope not in Scope.values
    ]
    return problems


@register(Tags.security)
def check_origins(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    for origin in settings.DATAFOLD_PUBLIC_ORIGINS:
        parts = urlsplit(origin)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path not in ("", "/")
            or parts.query
        ):
            problems.append(
                Error(
                    f"DATAFOLD_PUBLIC_ORIGINS: {origin!r} is not an origin.",
                    hint="Write scheme and host, such as https://datafold.example.com.",
                    id="datafold.E003",
                )
            )
        elif parts.scheme == "http" and not settings.DATAFOLD_DEVELOPMENT:
            problems.append(
                Warning(
                    f"The public origin {origin} is not https: signatures protect integrity, not privacy.",
                    hint="Put TLS in front and name the https origin.",
                    id="datafold.W003",
                )
            )
    if "*" in settings.ALLOWED_HOSTS and not settings.DATAFOLD_PUBLIC_ORIGINS:
        problems.append(
            Error(
                "ALLOWED_HOSTS admits every host and no public origin is set: @authority would be the caller's choice.",
                hint="List the hosts, or set DATAFOLD_PUBLIC_ORIGINS.",
                id="datafold.E004",
            )
        )
    return problems


@register(Tags.security)
def check_networks(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    for name in ("DATAFOLD_TRUSTED_PROXIES", "DATAFOLD_METRICS_NETWORKS"):
        for network in getattr(settings, name):
            try:
                parsed = ipaddress.ip_network(network, strict=False)
            except ValueError:
                problems.append(
                    Error(f"{name}: {network!r} is not a network in CIDR notation.", id="datafold.E005")
                )
                continue
            if name == "DATAFOLD_TRUSTED_PROXIES" and parsed.prefixlen == 0:
                problems.append(
                    Error(
                        "DATAFOLD_TRUSTED_PROXIES trusts the whole internet: anybody could forge address and origin.",
                        hint="List the addresses of your proxies.",
                        id="datafold.E006",
                    )
                )
    return problems


@register(Tags.database)
def check_parts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if sqlite and not settings.DATAFOLD_DEVELOPMENT:
        problems.append(
            Warning(
                "The database is SQLite: one machine, one writer at a time.",
                hint="Set DATABASE_URL to PostgreSQL for production.",
                id="datafold.W004",
            )
        )
    if not settings.REDIS_URL and not settings.DATAFOLD_DEVELOPMENT:
        problems.append(
            Warning(
                "There is no Redis: nonces and rates are kept in the database, and jobs need `manage.py housekeeping`.",
                hint="Set REDIS_URL.",
                id="datafold.W005",
            )
        )
    return problems


@register(Tags.security)
def check_encryption_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problem = encryption_key_problem()
    if not problem or (settings.DATAFOLD_DEVELOPMENT and not settings.DATAFOLD_ENCRYPTION_KEYS):
        return []
    return [
        Error(
            problem,
            hint="Set DATAFOLD_ENCRYPTION_KEYS (or DATAFOLD_ENCRYPTION_KEYS_FILE) to one or more keys of "
            "cryptography.fernet.Fernet.generate_key(), and keep them outside the database.",
            id="datafold.E007",
        )
    ]


@register(Tags.security)
def check_edge(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if settings.SECURE_SSL_REDIRECT and not settings.DATAFOLD_TRUSTED_PROXIES:
        problems.append(
            Warning(
                "Plain http is redirected to https, and no proxy is trusted to say that a request came by TLS: "
                "every call would be redirected for ever.",
                hint="List the TLS proxy's address in DATAFOLD_TRUSTED_PROXIES, or set SECURE_SSL_REDIRECT=false.",
                id="datafold.W006",
            )
        )
    for origin in settings.DATAFOLD_CORS_ORIGINS:
        parts = urlsplit(origin)
        if (
            parts.scheme not in ("http", "https")
            or f"{parts.scheme}://{parts.netloc}" != origin
            or "*" in origin
        ):
            problems.append(
                Error(
                    f"DATAFOLD_CORS_ORIGINS: {origin!r} is not an origin as browsers send it.",
                    hint="Write scheme, host and port, such as https://app.example.com, without a path or a star.",
                    id="datafold.E008",
                )
            )
    for name in ("ANONYMOUS", "REGISTRATION", "VERIFY", "FAILURE", "LOGIN"):
        rate = getattr(settings, f"DATAFOLD_{name}_RATE")
        try:
            if rate:
                parse_rate(rate)
        except ValueError as error:
            problems.append(Error(f"DATAFOLD_{name}_RATE: {error}", id="datafold.E009"))
    return problems


@register(Tags.security)
def check_forward_auth(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = [
        Error(
            f"DATAFOLD_FORWARD_AUTH_HOSTS: {host!r} is not a host.",
            hint="Write a host in lower case, with its port unless that is the default one: app.example.com, "
            "app.example.com:8443, or .example.com for every host below. A star is not taken.",
            id="datafold.E010",
        )
        for host in settings.DATAFOLD_FORWARD_AUTH_HOSTS
        if "*" in host or "/" in host or host != host.lower() or not host.strip(".")
    ]
    if settings.DATAFOLD_FORWARD_AUTH_HOSTS and not settings.DATAFOLD_TRUSTED_PROXIES:
        problems.append(
            Warning(
                "DATAFOLD_FORWARD_AUTH_HOSTS is set and no proxy is trusted: every question would be refused.",
                hint="List the proxies' addresses in DATAFOLD_TRUSTED_PROXIES.",
                id="datafold.W007",
            )
        )
    return problems


@register(Tags.security)
def check_mail(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    printed = settings.EMAIL_BACKEND in (
        "django.core.mail.backends.console.EmailBackend",
        "django.core.mail.backends.dummy.EmailBackend",
    )
    if settings.DATAFOLD_DEVELOPMENT or not printed:
        return []
    return [
        Warning(
            "EMAIL_URL names no mail server: what clients and operators should be told is printed, and counts as sent.",
            hint="Set EMAIL_URL (or EMAIL_URL_FILE), such as submission://user:password@mail.example.com, and "
            "DATAFOLD_OPERATORS_EMAIL.",
            id="datafold.W008",
        )
    ]
