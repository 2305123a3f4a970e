"""Numbered system checks on how operators get in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from accounts.roles import Role


@register(Tags.security)
def check_second_factor(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.DATAFOLD_REQUIRE_MFA or settings.DATAFOLD_DEVELOPMENT:
        return []
    return [
        Warning(
            "DATAFOLD_REQUIRE_MFA is off: a stolen password is enough to approve keys.",
            hint="Set DATAFOLD_REQUIRE_MFA=true.",
            id="datafold.W020",
        )
    ]


@register(Tags.security)
def check_single_sign_on(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    issuer = settings.DATAFOLD_OIDC_ISSUER
    if issuer and urlsplit(issuer).scheme != "https" and not settings.DATAFOLD_DEVELOPMENT:
        problems.append(
            Error(
                f"DATAFOLD_OIDC_ISSUER={issuer} is not https: anybody on the way could sign in as anybody.",
                hint="Use the provider's https address.",
                id="datafold.E020",
            )
        )
    if issuer and not settings.DATAFOLD_OIDC_CLIENT_ID:
        problems.append(
            Error(
                "DATAFOLD_OIDC_ISSUER is set and DATAFOLD_OIDC_CLIENT_ID is not.",
                hint="Register DataFold at the provider; the callback is /account/oidc/sso/login/callback/.",
                id="datafold.E021",
            )
        )
    if settings.DATAFOLD_REQUIRE_SSO and not issuer:
        problems.append(
            Error(
                "DATAFOLD_REQUIRE_SSO is on and DATAFOLD_OIDC_ISSUER is not set: no operator could get in.",
                hint="Set up single sign-on (docs/operating.md), or switch DATAFOLD_REQUIRE_SSO off.",
                id="datafold.E024",
            )
        )
    unknown = sorted(set(settings.DATAFOLD_OIDC_ROLE_MAP.values()) - {role.value for role in Role})
    if unknown:
        problems.append(
            Error(
                f"DATAFOLD_OIDC_ROLE_MAP names roles that do not exist: {', '.join(unknown)}.",
                hint="The roles are admin, manager and auditor.",
                id="datafold.E022",
            )
        )
    return problems


@register(Tags.security)
def check_four_eyes(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.DATAFOLD_FOUR_EYES or settings.DATAFOLD_REGISTRATION_POLICY != "open":
        return []
    return [
        Error(
            "DATAFOLD_FOUR_EYES is on and DATAFOLD_REGISTRATION_POLICY is open: keys would be active without "
            "anybody's approval.",
            hint="Set DATAFOLD_REGISTRATION_POLICY to approval or invite, or switch four eyes off.",
            id="datafold.E023",
        )
    ]
