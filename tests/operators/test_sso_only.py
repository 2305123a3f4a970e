"""DATAFOLD_REQUIRE_SSO: nothing that this server keeps itself lets anybody in, but for a break-glass on record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from allauth.account.internal.flows.login import perform_login
from allauth.account.models import Login
from django.contrib.auth.models import AnonymousUser
from django.core.management import CommandError, call_command
from django.test import RequestFactory
from django.utils import timezone

from accounts import operators
from accounts.audit import Actor
from accounts.authentication.errors import SingleSignOnRequired
from accounts.models import AuditEvent, User
from tests.operators.support import Operator, actions, error_code
from tests.operators.test_login import sign_in
from tests.support.client import WireClient

MakeOperator = Callable[..., Operator]


@pytest.fixture(autouse=True)
def _demanded(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = False
    settings.DATAFOLD_REQUIRE_SSO = True
    settings.DATAFOLD_OIDC_NAME = "Example sign-on"


def open_for(username: str, *more: str) -> str:
    out = StringIO()
    call_command("allow_password_login", username, "--reason", "provider down", *more, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("password", [{}, {"password": "wrong"}])
def test_a_password_counts_nowhere_and_is_not_looked_at(
    operator: MakeOperator, client: WireClient, known: bool, password: dict[str, str]
) -> None:
    admin = operator("admin")
    name = admin.user.username if known else "nobody-here"
    answer = admin.login(username=name, **password)
    assert (answer.status_code, error_code(answer)) == (403, "SINGLE_SIGN_ON_REQUIRED")
    assert "Example sign-on" in answer.json()["error"]["message"]
    assert "allow_password_login" in answer.json()["error"]["message"]
    page = sign_in(client, name, *password.values())
    assert page.status_code == 403
    assert "single sign-on only" in page.content.decode()
    assert "_auth_user_id" not in client.session
    assert actions(admin.user) == ["operator.created"]


def test_no_other_way_in_passes_either(operator: MakeOperator) -> None:
    """As a passkey's login ends, which asks for no password."""
    request = RequestFactory().post("/account/2fa/webauthn/login/")
    request.user = AnonymousUser()
    with pytest.raises(SingleSignOnRequired):
        perform_login(request, Login(user=operator("admin").user, email_verification="none"))


def test_the_login_page_says_so(client: WireClient, db: None) -> None:
    page = client.get("/account/login/").content.decode()
    assert "by single sign-on only" in page
    assert "Use a passkey" not in page


def test_whoever_runs_the_server_opens_one_account_for_a_while(
    operator: MakeOperator, client: WireClient
) -> None:
    admin, other = operator("admin"), operator("admin")
    admin.add_totp()
    assert "gets in by password until" in open_for(admin.user.username, "--minutes", "5")
    assert error_code(admin.login()) == "SECOND_FACTOR_REQUIRED", "a second factor stays due"
    assert admin.login(code=admin.code()).status_code == 200
    assert sign_in(client, admin.user.username).status_code == 302
    assert error_code(other.login()) == "SINGLE_SIGN_ON_REQUIRED"
    event = AuditEvent.objects.get(action="operator.password_login_allowed")
    assert (event.actor_kind, event.target_label, event.reason) == (
        "system",
        admin.user.username,
        "provider down",
    )
    User.objects.filter(pk=admin.user.pk).update(password_login_until=timezone.now() - timedelta(seconds=1))
    assert error_code(admin.login()) == "SINGLE_SIGN_ON_REQUIRED"


def test_it_is_ended_early(operator: MakeOperator) -> None:
    admin = operator("admin")
    open_for(admin.user.username)
    assert admin.login().status_code == 200
    open_for(admin.user.username, "--minutes", "0")
    assert error_code(admin.login()) == "SINGLE_SIGN_ON_REQUIRED"


def test_what_the_command_refuses(operator: MakeOperator) -> None:
    admin = operator("admin")
    operator("manager", "milo")
    name = admin.user.username
    for arguments, why in (
        (["nobody", "--reason", "x"], "no operator 'nobody'"),
        ([name], "Say why"),
        ([name, "--reason", "x", "--minutes", "1441"], "from 0 to 1440"),
        ([name, "--reason", "x", "--by", "milo"], "Only admins manage operators"),
    ):
        with pytest.raises(CommandError, match=why):
            call_command("allow_password_login", *arguments, stdout=StringIO())
    operators.deactivate_operator(User.objects.get(username="milo"), actor=Actor.system("tests"))
    with pytest.raises(CommandError, match="is inactive"):
        open_for("milo")
    admin.user.set_unusable_password()
    admin.user.save()
    with pytest.raises(CommandError, match="has no password"):
        open_for(name)
    assert not User.objects.filter(password_login_until__isnull=False).exists()
