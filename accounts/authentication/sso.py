"""Single sign-on: whether it is demanded, and which role an identity provider's claims give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.authentication.errors import SingleSignOnRequired
from accounts.authentication.lockout import spelt
from accounts.models import User
from accounts.roles import Role


def refuse_without(username: str) -> None:
    """Refuse a login by what this server keeps itself, where single sign-on is demanded (DATAFOLD_REQUIRE_SSO).

    Before the password is looked at: the answer must not tell whether it was right, or whether the name exists.

    Raises:
        SingleSignOnRequired: unless `manage.py allow_password_login` opened this account for the time being.
    """
    if not settings.DATAFOLD_REQUIRE_SSO:
        return
    opened = User.objects.filter(username__iexact=spelt(username), password_login_until__gt=timezone.now())
    if not opened.exists():
        raise SingleSignOnRequired(
            f"This server takes operators by single sign-on only ({settings.DATAFOLD_OIDC_NAME}): sign in with the "
            "browser at /account/login/. Programs get tokens in the admin: your name, Tokens for your programs. "
            "Is the provider down? Whoever runs the server opens an account for some minutes: manage.py "
            "allow_password_login."
        )


def maps_roles() -> bool:
    """Whether the provider decides about roles at all; if not, admins do."""
    return bool(settings.DATAFOLD_OIDC_ROLE_CLAIM)


def mapped_role(claims: Mapping[str, Any]) -> Role | None:
    """The strongest role that the claims are mapped to; None where no value of the claim is mapped.

    Args:
        claims: what allauth keeps of the login: {"id_token": {…}, "userinfo": {…}}.
    """
    granted = {settings.DATAFOLD_OIDC_ROLE_MAP.get(value) for value in claim_values(claims)}
    return next((role for role in Role if role.value in granted), None)


def claim_values(claims: Mapping[str, Any]) -> list[str]:
    """The values of the role claim, from the ID token, else from the user info. A string is a list of one."""
    for part in ("id_token", "userinfo"):
        value = _find(claims.get(part), settings.DATAFOLD_OIDC_ROLE_CLAIM)
        if value is not None:
            values = value if isinstance(value, list) else [value]
            return [one for one in values if isinstance(one, str)]
    return []


def _find(claims: Any, name: str) -> Any:
    """`name` as it stands (a URL, say), or as a path such as "realm_access.roles"."""
    if isinstance(claims, dict) and name in claims:
        return claims[name]
    for step in name.split("."):
        if not isinstance(claims, dict):
            return None
        claims = claims.get(step)
    return claims
