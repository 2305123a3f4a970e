"""Operators' tokens: a short-lived access token and a refresh token that is good for one refresh.

allauth's JWT strategy makes and reads them (docs/decisions). Each login is one session of its own in the
database, the *family*: an access token counts only while its family lives, so revoking, a changed
password or a deactivated account end everything at once. The family ends DATAFOLD_REFRESH_TOKEN_SECONDS
after the login, however often it was refreshed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.headless.tokens.strategies.jwt import JWTTokenStrategy, internal
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.authentication.errors import TokenInvalid, TokenReused
from accounts.models import User

MAX_TOKEN_LENGTH = 4096
INVALID = "The token is not valid: it is not one of ours, expired, or revoked. Get a new one: POST operators/tokens."


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an operator's program gets. `expires_in`: seconds that the access token lives."""

    access_token: str
    refresh_token: str
    expires_in: int
    login_ends_at: datetime


def issue_tokens(request: HttpRequest, user: User, *, methods: list[str]) -> Tokens:
    """Log the operator in to a family of tokens.

    Args:
        methods: what the operator authenticated with, such as ["password", "totp"].
    """
    own = _request_of_its_own(request)
    for method in methods:
        record_authentication(own, user, method)
    login(own, user)
    ends_at = timezone.now() + timedelta(seconds=settings.DATAFOLD_REFRESH_TOKEN_SECONDS)
    own.session.set_expiry(ends_at)
    payload: Any = JWTTokenStrategy().create_access_token_payload(own)
    own.session.save()
    return _tokens(payload["access_token"], payload["refresh_token"], own.session)


def refresh_tokens(refresh_token: str) -> Tokens:
    """Spend the refresh token for a new pair.

    Raises:
        TokenInvalid: not ours, expired, revoked, or its operator is inactive.
        TokenReused: it was spent before. Either its owner or a thief holds the newer one, and nobody can
            tell which, so the whole family is revoked.
    """
    claims = _claims(refresh_token)
    with transaction.atomic():
        session = _locked_family(claims)
        spent = claims["jti"] not in internal.get_refresh_token_state(session)
        pair = None if spent else JWTTokenStrategy().refresh_token(refresh_token)
        if spent:
            _end_family(session, claims, reason="a refresh token was used twice")
    if spent:
        raise TokenReused(
            "This refresh token was used before, so every token of that login is revoked. Somebody may hold a copy: "
            "log in again, and change the password if you do not know who."
        )
    if pair is None:
        raise TokenInvalid(INVALID)
    access_token, next_refresh_token = pair
    return _tokens(access_token, next_refresh_token, session)


def revoke_tokens(token: str) -> bool:
    """End the family of a refresh token; whether there was one to end. As RFC 7009, not an error if not."""
    try:
        claims = _claims(token)
        with transaction.atomic():
            _end_family(_locked_family(claims), claims, reason="revoked by its holder")
    except TokenInvalid:
        return False
    return True


def _request_of_its_own(request: HttpRequest) -> HttpRequest:
    """The caller's request with an empty session: what is logged in there never becomes a cookie."""
    own = HttpRequest()
    own.method, own.path, own.META = "POST", request.path, dict(request.META)
    own.session = import_module(settings.SESSION_ENGINE).SessionStore()
    own.user = AnonymousUser()
    own.login_to = "token"  # type: ignore[attr-defined]  # for the audit log
    return own


def _claims(refresh_token: str) -> dict[str, Any]:
    claims: dict[str, Any] | None = None
    if len(refresh_token) <= MAX_TOKEN_LENGTH:
        claims = internal.decode_token(refresh_token, "refresh")
    if claims is None:
        raise TokenInvalid(INVALID)
    return claims


def _locked_family(claims: dict[str, Any]) -> SessionBase:
    """The family's session, locked, so that of two refreshes at once one sees that the other was first."""
    key = internal.session_key_from_sid(claims["sid"]) or ""
    list(Session.objects.select_for_update().filter(pk=key))
    session: SessionBase | None = internal.get_token_session(claims)
    if session is None:
        raise TokenInvalid(INVALID)
    return session


def _end_family(session: SessionBase, claims: dict[str, Any], *, reason: str) -> None:
    session.flush()
    user = User.objects.filter(pk=claims["sub"]).first()
    record_event(
        actor=Actor.operator(user) if user else Actor.anonymous(),
        action="operator.tokens_revoked",
        target_kind="operator",
        target_id=claims["sub"],
        target_label=user.get_username() if user else "",
        reason=reason,
    )


def _tokens(access_token: str, refresh_token: str, session: SessionBase) -> Tokens:
    return Tokens(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_in=settings.DATAFOLD_ACCESS_TOKEN_SECONDS,
        login_ends_at=session.get_expiry_date(),
    )
