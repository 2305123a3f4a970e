"""Where django-allauth meets this project: who may sign up, whose address counts, how secrets are kept."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from axes.handlers.proxy import AxesProxyHandler
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import operators
from accounts.audit import Actor
from accounts.authentication import sso
from accounts.authentication.events import record_failed_login
from accounts.authentication.guesses import claim_password
from accounts.models import User
from project import encryption
from project.proxies import client_address

SSO = Actor.system("single sign-on")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Operators are made by admins, or by single sign-on; nobody signs up with a password."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or "unknown"

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """As allauth's, within the limit of the account; an attempt that the lock refuses unseen is no guess."""
        if (
            not request.user.is_authenticated
        ):  # else it is asked for again before a change of one's own account
            sso.refuse_without(str(credentials.get("username") or ""))
        if not AxesProxyHandler.is_allowed(request, credentials):
            return super().authenticate(request, **credentials)
        succeeded = claim_password(request, str(credentials.get("username") or ""))
        user = super().authenticate(request, **credentials)
        if user is not None:
            succeeded()
        return user

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Whatever way in it was, a passkey for one: where single sign-on is demanded, only that counts."""
        if "sociallogin" not in (kwargs.get("signal_kwargs") or {}):
            sso.refuse_without(user.get_username())
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def set_password(self, user: User, password: str) -> None:
        operators.set_password(user, actor=Actor.operator(user), password=password)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """TOTP secrets and the seeds of recovery codes lie encrypted in the database."""

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text.encode())

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.decrypt(encrypted_text).decode()


class SingleSignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Whoever the configured provider vouches for has an account, and only a mapped claim gives it a role."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.is_existing:
            self._follow_claims(request, sociallogin)

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            operators.record_operator(
                user, actor=SSO, action="operator.created", before=None, after=operators.operator_facts(user)
            )
            self._follow_claims(request, sociallogin)
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Any = None,
        extra_context: Any = None,
    ) -> None:
        record_failed_login(None, reason=f"single sign-on failed: {error or type(exception).__name__}")

    def _follow_claims(self, request: HttpRequest, sociallogin: Any) -> None:
        """Give the role that the claims are mapped to, or take the one away that they no longer give.

        An account with a password of its own was made here: its role is what the admins gave it.
        """
        user: User = sociallogin.user
        if not sso.maps_roles() or user.has_usable_password():
            return
        try:
            operators.change_role(
                user,
                actor=SSO,
                role=sso.mapped_role(sociallogin.account.extra_data),
                reason=f"the identity provider's claim: {', '.join(sso.claim_values(sociallogin.account.extra_data))}",
            )
        except operators.LastAdmin as error:
            raise ImmediateHttpResponse(
                render(request, "account/problem.html", {"message": error.message}, status=409)
            ) from error
