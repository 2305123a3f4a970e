"""What an admin does for an operator who lost the second factor or is locked out: by name, with a reason, on record."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import reverse

from accounts import account_help
from accounts.audit import Actor
from accounts.models import AuditEvent, User
from tests.operators.support import PASSWORD, Operator, actions, error_code
from tests.operators.test_login import sign_in
from tests.support.client import WireClient

MakeOperator = Callable[..., Operator]
WHY = {"reason": "lost phone; called back on the number in the directory"}
RESET, UNLOCK = "reset-second-factor", "unlock"


def url(user: User, act: str = RESET) -> str:
    return reverse("admin:accounts_user_act", args=[user.pk, act])


def signed_in(operator: Operator, **options: Any) -> Browser:
    browser = WireClient(**options)
    browser.force_login(operator.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser


def lock_out(settings: Any, victim: Operator) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(2):
        victim.login(password="wrong")
    assert error_code(victim.login()) == "LOGIN_LOCKED"


@pytest.fixture
def admin(operator: MakeOperator) -> Operator:
    return operator("admin", "ada")


@pytest.fixture
def victim(operator: MakeOperator) -> Operator:
    """A manager with app and recovery codes, a session of the browser and a token."""
    victim = operator("manager", "Mara")
    victim.add_totp()
    victim.add_recovery_codes()
    return victim


def test_an_admin_resets_a_second_factor(admin: Operator, victim: Operator) -> None:
    token = victim.tokens(code=victim.code())["access_token"]
    session = signed_in(victim)
    assert session.get("/admin/").status_code == 200
    browser = signed_in(admin)
    page = browser.get(reverse("admin:accounts_user_change", args=[victim.user.pk])).content.decode()
    assert "recovery codes, authenticator app" in page
    assert url(victim.user) in page
    text = browser.get(url(victim.user)).content.decode()
    assert "every session and token" in text
    assert Authenticator.objects.filter(user=victim.user).count() == 2, "looking changes nothing"
    assert browser.post(url(victim.user), WHY).status_code == 302
    assert not Authenticator.objects.filter(user=victim.user).exists()
    assert session.get("/admin/").status_code == 302, "sessions end at once"
    assert victim.call("GET", "me", token=token).status_code == 401, "tokens end at once"
    assert victim.login().status_code == 200, "the password alone, until a new factor is set up"
    event = AuditEvent.objects.get(action="operator.second_factor_reset")
    assert (event.actor_label, event.target_label, event.reason) == ("ada", "Mara", WHY["reason"])
    assert event.before == {"second_factor": ["recovery_codes", "totp"]}


def test_where_a_second_factor_is_demanded_the_next_sign_in_leads_to_a_new_one(
    admin: Operator, victim: Operator, client: WireClient, settings: Any
) -> None:
    settings.DATAFOLD_REQUIRE_MFA = True
    account_help.reset_second_factor(victim.user, actor=Actor.operator(admin.user), reason="lost")
    assert sign_in(client, victim.user.username).status_code == 302
    assert client.get("/admin/")["Location"] == "/account/2fa/"


def test_sessions_end_also_where_there_was_no_factor(admin: Operator, operator: MakeOperator) -> None:
    other = operator("auditor")
    session = signed_in(other)
    taken = account_help.reset_second_factor(other.user, actor=Actor.operator(admin.user), reason="stolen")
    assert taken == []
    assert session.get("/admin/").status_code == 302
    session = signed_in(Operator(User.objects.get(pk=other.user.pk), WireClient()))
    assert session.get("/admin/").status_code == 200
    assert "operator.second_factor_reset" in actions(other.user)


@pytest.mark.parametrize("act", [RESET, UNLOCK])
def test_a_reason_is_demanded(admin: Operator, victim: Operator, act: str, settings: Any) -> None:
    lock_out(settings, victim)
    browser = signed_in(admin)
    assert "This field is required" in browser.post(url(victim.user, act), {"reason": "  "}).content.decode()
    answer = admin.call("POST", f"users/{victim.user.pk}/{act}", {"reason": " "})
    assert (answer.status_code, error_code(answer)) == (422, "REASON_MISSING")
    assert Authenticator.objects.filter(user=victim.user).exists()
    assert error_code(victim.login()) == "LOGIN_LOCKED"


@pytest.mark.parametrize("act", [RESET, UNLOCK])
@pytest.mark.parametrize("role", ["auditor", "manager"])
def test_others_may_not_and_the_attempt_is_on_record(
    operator: MakeOperator, victim: Operator, role: str, act: str
) -> None:
    caller = operator(role, "pat")
    browser = signed_in(caller)
    assert browser.get(url(victim.user, act)).status_code == 403
    assert "operator.refused" not in actions(caller.user)
    assert browser.post(url(victim.user, act), WHY).status_code == 403
    assert Authenticator.objects.filter(user=victim.user).exists()
    event = AuditEvent.objects.get(action="operator.refused")
    assert (event.actor_label, event.after) == (
        "pat",
        {"call": f"POST {url(victim.user, act)}", "code": "PERMISSION_DENIED"},
    )
    page = browser.get(reverse("admin:accounts_user_change", args=[victim.user.pk])).content.decode()
    assert url(victim.user, act) not in page


@pytest.mark.parametrize("act", [RESET, UNLOCK])
def test_nobody_helps_themselves(admin: Operator, act: str) -> None:
    admin.add_totp()
    assert signed_in(admin).post(url(admin.user, act), WHY).status_code == 403
    answer = admin.call(
        "POST", f"users/{admin.user.pk}/{act}", WHY, token=admin.tokens(code=admin.code())["access_token"]
    )
    assert (answer.status_code, error_code(answer)) == (403, "OWN_ACCOUNT")
    assert Authenticator.objects.filter(user=admin.user).exists()
    refused = AuditEvent.objects.filter(action="operator.refused")
    assert list(refused.values_list("after__code", flat=True)) == ["OWN_ACCOUNT", "PERMISSION_DENIED"]


def test_only_a_superuser_resets_a_superusers(admin: Operator, victim: Operator) -> None:
    User.objects.filter(pk=victim.user.pk).update(is_superuser=True)
    assert signed_in(admin).post(url(victim.user), WHY).status_code == 403
    answer = admin.call("POST", f"users/{victim.user.pk}/{RESET}", WHY)
    assert error_code(answer) == "PERMISSION_DENIED"
    assert Authenticator.objects.filter(user=victim.user).exists()


@pytest.mark.parametrize("act", [RESET, UNLOCK])
def test_a_post_without_a_csrf_token_is_refused(admin: Operator, victim: Operator, act: str) -> None:
    browser = signed_in(admin, enforce_csrf_checks=True)
    assert browser.post(url(victim.user, act), WHY).status_code == 403
    assert Authenticator.objects.filter(user=victim.user).exists()


def test_rest_answers_with_the_operator_as_it_is_now(admin: Operator, victim: Operator) -> None:
    answer = admin.call("POST", f"users/{victim.user.pk}/{RESET}", WHY)
    assert answer.status_code == 200
    assert answer.json()["data"]["second_factor"] is False
    assert answer.json()["meta"]["action"] == "second_factor_reset"


def test_a_lock_is_shown_and_lifted(admin: Operator, victim: Operator, settings: Any) -> None:
    """The name is locked however it is spelt, and so it is unlocked."""
    lock_out(settings, victim)
    browser = signed_in(admin)
    change = reverse("admin:accounts_user_change", args=[victim.user.pk])
    assert "Locked out from 127.0.0.1" in browser.get(change).content.decode()
    assert browser.post(url(victim.user, UNLOCK), WHY).status_code == 302
    assert error_code(victim.login()) == "SECOND_FACTOR_REQUIRED"
    assert "Locked out" not in browser.get(change).content.decode()
    event = AuditEvent.objects.get(action="operator.unlocked")
    assert (event.actor_label, event.before) == ("ada", {"locked_out_at": ["127.0.0.1"]})
    again = browser.post(url(victim.user, UNLOCK), WHY)
    assert again.status_code == 409
    assert "is not locked out" in again.content.decode()


def test_the_command_resets_for_whoever_runs_the_server(victim: Operator) -> None:
    out = StringIO()
    with pytest.raises(CommandError, match="Say why"):
        call_command("reset_second_factor", "Mara", stdout=out)
    with pytest.raises(CommandError, match="no operator 'nobody'"):
        call_command("reset_second_factor", "nobody", "--reason", "lost", stdout=out)
    assert Authenticator.objects.filter(user=victim.user).exists()
    call_command("reset_second_factor", "Mara", "--reason", "lost phone", stdout=out)
    assert "Took away recovery_codes, totp; Mara is signed out everywhere." in out.getvalue()
    event = AuditEvent.objects.get(action="operator.second_factor_reset")
    assert (event.actor_kind, event.reason) == ("system", "lost phone")
    call_command("reset_second_factor", "Mara", "--reason", "lost phone", stdout=out)
    assert "There was no second factor" in out.getvalue()


def test_by_an_operator_the_command_keeps_to_their_role(victim: Operator, operator: MakeOperator) -> None:
    operator("manager", "milo")
    with pytest.raises(CommandError, match="Only admins manage operators"):
        call_command("reset_second_factor", "Mara", "--reason", "lost", "--by", "milo", stdout=StringIO())
    assert Authenticator.objects.filter(user=victim.user).exists()


def test_a_password_set_on_the_command_line_is_on_record(
    victim: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt="": "another long passphrase")
    session = signed_in(victim)
    call_command("changepassword", "Mara", stdout=StringIO())
    assert session.get("/admin/").status_code == 302
    assert error_code(victim.login(password=PASSWORD)) == "CREDENTIALS_INVALID"
    assert AuditEvent.objects.get(action="operator.password_changed").actor_kind == "system"


def test_a_superuser_made_on_the_command_line_is_on_record(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "another long passphrase")
    call_command(
        "createsuperuser", "--noinput", "--username=root", "--email=root@example.com", stdout=StringIO()
    )
    event = AuditEvent.objects.get(action="operator.created")
    assert (event.actor_kind, event.target_label) == ("system", "root")
    assert event.after is not None
    assert event.after["roles"] == ["admin"]
