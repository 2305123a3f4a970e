"""Tokens for an operator's programs out of a browser's session, as single sign-on needs them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from accounts import operators
from accounts.audit import Actor
from accounts.models import AuditEvent, User
from tests.operators.support import API, Operator, actions
from tests.support.client import WireClient

MakeOperator = Callable[..., Operator]
PAGE = "/admin/accounts/user/tokens/"
SECRETS = re.compile(r'df-secret"><code>(ey[^<]+)<')


@pytest.fixture(autouse=True)
def _sign_on_demanded(settings: Any) -> None:
    settings.DATAFOLD_REQUIRE_SSO = True


def signed_in(user: User, **options: Any) -> WireClient:
    browser = WireClient(**options)
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser


def call_me(token: str) -> Any:
    return WireClient().get(f"{API}/me", HTTP_AUTHORIZATION=f"Bearer {token}")


@pytest.mark.parametrize("role", ["auditor", "manager", "admin"])
def test_the_pair_is_shown_once_and_works(operator: MakeOperator, role: str) -> None:
    user = operator(role).user
    browser = signed_in(user)
    assert f'href="{PAGE}"' in browser.get(reverse("admin:index")).content.decode()
    assert SECRETS.findall(browser.get(PAGE).content.decode()) == []
    answer = browser.post(PAGE)
    access, refresh = map(html.unescape, SECRETS.findall(answer.content.decode()))
    assert "no-store" in answer["Cache-Control"]
    assert call_me(access).json()["data"]["username"] == user.username
    assert SECRETS.findall(browser.get(PAGE).content.decode()) == []

    next_pair = browser.post(
        f"{API}/tokens/refresh", {"refresh_token": refresh}, content_type="application/json"
    )
    assert call_me(next_pair.json()["data"]["access_token"]).status_code == 200
    login = AuditEvent.objects.filter(action="operator.logged_in").latest("id")
    assert (login.actor_label, (login.after or {})["to"]) == (user.username, "token")


def end_by_a_new_password(user: User) -> None:
    operators.set_password(
        user, actor=Actor.system("tests"), password="another long enough phrase", reason="t"
    )


def end_by_deactivation(user: User) -> None:
    operators.deactivate_operator(user, actor=Actor.system("tests"), reason="t")


@pytest.mark.parametrize("end", [end_by_a_new_password, end_by_deactivation])
def test_they_outlive_the_session_and_end_with_the_account(
    operator: MakeOperator, end: Callable[[User], None]
) -> None:
    user = operator("manager").user
    browser = signed_in(user)
    access = SECRETS.findall(browser.post(PAGE).content.decode())[0]
    browser.logout()
    assert call_me(access).status_code == 200
    end(user)
    assert call_me(access).status_code == 401


def test_without_a_role_a_session_or_the_csrf_token_there_are_none(operator: MakeOperator) -> None:
    user = operator("manager").user
    assert signed_in(user, enforce_csrf_checks=True).post(PAGE).status_code == 403
    assert WireClient().post(PAGE).status_code == 302
    user.groups.remove(Group.objects.get(name="manager"))
    refused = signed_in(user).post(PAGE)
    assert SECRETS.findall(refused.content.decode()) == []
    assert actions(user).count("operator.logged_in") == 2, "the two sessions"


def test_a_demanded_second_factor_comes_first(operator: MakeOperator, settings: Any) -> None:
    settings.DATAFOLD_REQUIRE_MFA = True
    answer = signed_in(operator("admin").user).post(PAGE)
    assert answer.status_code == 302
    assert "/2fa/" in answer["Location"]
