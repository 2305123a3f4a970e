"""Login in the browser and by REST: the lock, the throttle, what is on record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.db.models import F

from accounts import operators
from accounts.audit import Actor
from accounts.models import AuditEvent
from tests.operators.support import PASSWORD, Operator, actions, error_code
from tests.support.client import WireClient

MakeOperator = Callable[..., Operator]
LOGIN = "/account/login/"


def sign_in(http: WireClient, username: str, password: str = PASSWORD, **extra: Any) -> Any:
    return http.post(LOGIN, {"login": username, "password": password}, **extra)


@pytest.fixture(autouse=True)
def _no_throttle(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = False


def test_the_admins_own_login_leads_to_the_login_page(client: WireClient, db: None) -> None:
    answer = client.get("/admin/keys/")
    assert answer["Location"].startswith("/admin/login/")
    answer = client.get("/admin/login/?next=/admin/accounts/")
    assert answer["Location"] == "/account/login/?next=%2Fadmin%2Faccounts%2F"


def test_the_admins_own_form_takes_no_password(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    answer = client.post("/admin/login/", {"username": admin.user.username, "password": PASSWORD})
    assert answer.status_code == 302
    assert "_auth_user_id" not in client.session


def test_next_never_leads_away(operator: MakeOperator, client: WireClient) -> None:
    assert (
        client.get("/admin/login/?next=https://evil.example/")["Location"]
        == "/account/login/?next=%2Fadmin%2F"
    )
    client.force_login(operator("admin").user)
    assert client.get("/admin/login/?next=https://evil.example/")["Location"] == "/admin/"


def test_signing_in_leads_to_the_admin_and_is_on_record(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    answer = sign_in(client, admin.user.username)
    assert answer["Location"] == "/admin/"
    cookie = answer.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    event = AuditEvent.objects.get(action="operator.logged_in")
    assert (event.actor_label, event.address) == (admin.user.username, "127.0.0.1")
    assert event.after == {"to": "browser session", "by": ["password"]}
    client.post("/account/logout/")
    assert actions(admin.user)[-1] == "operator.logged_out"


def test_nobody_signs_up(client: WireClient, db: None) -> None:
    for path in ("/account/signup/", "/account/password/reset/", "/account/email/"):
        assert client.get(path).status_code == 404


def test_an_operator_without_a_role_is_told_so(operator: MakeOperator, client: WireClient) -> None:
    nobody = operator(None)
    sign_in(client, nobody.user.username)
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "no role yet" in answer.content.decode()


def test_a_deactivated_operator_is_out_at_once(operator: MakeOperator, client: WireClient) -> None:
    operator("admin")
    manager = operator("manager")
    sign_in(client, manager.user.username)
    assert client.get("/admin/").status_code == 200
    operators.deactivate_operator(manager.user, actor=Actor.system("tests"))
    assert client.get("/admin/").status_code == 302


def test_too_many_failures_lock_and_say_for_how_long(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    for _ in range(4):
        assert sign_in(client, admin.user.username, "wrong").status_code == 200
    locked = sign_in(client, admin.user.username, "wrong")
    assert locked.status_code == 429
    assert "Try again in 15 minutes" in locked.content.decode()
    assert 0 < int(locked["Retry-After"]) <= 900
    right = sign_in(client, admin.user.username)
    assert right.status_code == 429
    assert "_auth_user_id" not in client.session
    assert sorted(actions(admin.user)) == sorted(
        ["operator.created", *["operator.login_failed"] * 5, "operator.locked_out"]
    )


def test_the_lock_holds_on_every_way_in(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    for _ in range(5):
        admin.login(password="wrong")
    answer = admin.login()
    assert answer.status_code == 429
    assert error_code(answer) == "LOGIN_LOCKED"
    assert answer["Retry-After"] == str(answer.json()["error"]["details"]["retry_after"])
    assert sign_in(client, admin.user.username).status_code == 429


def test_other_spellings_of_the_name_count_as_one(operator: MakeOperator) -> None:
    admin = operator("admin", "root-admin")
    for name in ("root-admin", "ROOT-ADMIN", "Root-Admin", "ｒoot-admin", " root-admin"):
        admin.login(username=name, password="wrong")
    assert error_code(admin.login()) == "LOGIN_LOCKED"


def test_the_lock_is_for_name_and_address(operator: MakeOperator, client: WireClient) -> None:
    admin, manager = operator("admin"), operator("manager")
    for _ in range(5):
        sign_in(client, admin.user.username, "wrong", REMOTE_ADDR="203.0.113.7")
    assert sign_in(client, admin.user.username, REMOTE_ADDR="203.0.113.7").status_code == 429
    assert sign_in(WireClient(), admin.user.username, REMOTE_ADDR="203.0.113.8").status_code == 302
    assert sign_in(WireClient(), manager.user.username, REMOTE_ADDR="203.0.113.7").status_code == 302


def test_an_ipv6_network_counts_as_one_address(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    for last in range(5):
        sign_in(client, admin.user.username, "wrong", REMOTE_ADDR=f"2001:db8:1:2::{last}")
    assert sign_in(client, admin.user.username, REMOTE_ADDR="2001:db8:1:2:ffff::1").status_code == 429
    assert sign_in(client, admin.user.username, REMOTE_ADDR="2001:db8:1:3::1").status_code == 302


def test_an_ipv4_address_in_ipv6_spelling_counts_as_itself(
    operator: MakeOperator, client: WireClient
) -> None:
    admin = operator("admin")
    for address in ("::ffff:203.0.113.7", "203.0.113.7", "::ffff:203.0.113.7", "203.0.113.7", "203.0.113.7"):
        sign_in(client, admin.user.username, "wrong", REMOTE_ADDR=address)
    assert sign_in(client, admin.user.username, REMOTE_ADDR="::ffff:203.0.113.7").status_code == 429
    assert sign_in(client, admin.user.username, REMOTE_ADDR="::ffff:203.0.113.8").status_code == 302


def test_without_an_address_the_lock_holds_all_the_same(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    for _ in range(6):
        answer = sign_in(client, admin.user.username, "wrong", REMOTE_ADDR="")
    assert answer.status_code == 429


def test_behind_a_trusted_proxy_the_clients_address_counts(
    operator: MakeOperator, client: WireClient, settings: Any
) -> None:
    settings.DATAFOLD_TRUSTED_PROXIES = ["10.0.0.1/32"]
    admin = operator("admin")
    proxy = {"REMOTE_ADDR": "10.0.0.1"}
    for _ in range(5):
        sign_in(client, admin.user.username, "wrong", HTTP_X_FORWARDED_FOR="198.51.100.1", **proxy)
    assert (
        sign_in(client, admin.user.username, HTTP_X_FORWARDED_FOR="198.51.100.1", **proxy).status_code == 429
    )
    assert (
        sign_in(client, admin.user.username, HTTP_X_FORWARDED_FOR="198.51.100.2", **proxy).status_code == 302
    )


def test_a_forged_forwarding_field_does_not_escape_the_lock(
    operator: MakeOperator, client: WireClient
) -> None:
    admin = operator("admin")
    for number in range(5):
        sign_in(client, admin.user.username, "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")
    assert sign_in(client, admin.user.username, HTTP_X_FORWARDED_FOR="198.51.100.77").status_code == 429


def test_the_lock_ends(operator: MakeOperator) -> None:
    admin = operator("admin")
    for _ in range(5):
        admin.login(password="wrong")
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=16))
    assert admin.login().status_code == 200


def test_a_success_forgets_the_failures(operator: MakeOperator) -> None:
    admin = operator("admin")
    for _ in range(2):
        for _ in range(4):
            admin.login(password="wrong")
        assert admin.login().status_code == 200


def test_an_unknown_name_locks_alike_and_is_not_kept(client: WireClient, db: None) -> None:
    for _ in range(5):
        answer = sign_in(client, "my-password-typed-in-the-wrong-field", "wrong")
    assert answer.status_code == 429
    events = AuditEvent.objects.filter(action__in=["operator.login_failed", "operator.locked_out"])
    assert {event.target_label for event in events} == {"unknown"}
    for attempt in AccessAttempt.objects.all():
        assert "my-password" not in attempt.post_data


def test_attempts_during_a_lock_do_not_flood_the_audit_log(operator: MakeOperator) -> None:
    admin = operator("admin")
    for _ in range(12):
        admin.login(password="wrong")
    assert actions(admin.user).count("operator.login_failed") == 5
    assert actions(admin.user).count("operator.locked_out") == 1


def test_logins_from_one_address_are_throttled(client: WireClient, db: None, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login": "3/m/ip"}
    codes = [sign_in(client, f"name-{number}", "wrong").status_code for number in range(4)]
    assert codes == [200, 200, 200, 429]


def test_changing_the_password_is_audited_and_ends_other_sessions(
    operator: MakeOperator, client: WireClient
) -> None:
    admin = operator("admin")
    other = WireClient()
    for http in (client, other):
        sign_in(http, admin.user.username)
    new = "another long passphrase"
    answer = client.post(
        "/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert answer.status_code == 302
    assert "operator.password_changed" in actions(admin.user)
    assert client.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert admin.login().status_code == 401
    assert admin.login(password=new).status_code == 200


def test_a_weak_password_is_refused(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    sign_in(client, admin.user.username)
    answer = client.post(
        "/account/password/change/", {"oldpassword": PASSWORD, "password1": "short", "password2": "short"}
    )
    assert "at least 12 characters" in answer.content.decode()


def test_the_admins_password_page_is_the_accounts(operator: MakeOperator, client: WireClient) -> None:
    client.force_login(operator("admin").user)
    assert client.get("/admin/password_change/")["Location"] == "/account/password/change/"


def test_allauths_own_admin_pages_are_not_offered(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin").user
    admin.is_superuser = True
    admin.save()
    client.force_login(admin)
    for path in (
        "mfa/authenticator/",
        "socialaccount/socialapp/",
        "account/emailaddress/",
        "axes/accessattempt/",
    ):
        assert client.get(f"/admin/{path}").status_code == 404


def test_login_without_the_csrf_token_is_refused(operator: MakeOperator, browser_client: WireClient) -> None:
    assert sign_in(browser_client, operator("admin").user.username).status_code == 403
