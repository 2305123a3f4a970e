"""One account guessed from many addresses: each is below its own lock, all together are not."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse

from accounts.authentication import guesses
from accounts.models import AuditEvent
from keys.models import RateCounter
from tests.operators.support import API, PASSWORD, Operator, actions, error_code
from tests.operators.test_login import sign_in
from tests.support.client import WireClient

MakeOperator = Callable[..., Operator]
CODE = "/account/2fa/authenticate/"
HOME = "2001:db8:ffff::7"


@pytest.fixture(autouse=True)
def _no_throttle(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """In the middle of an hour: a test never runs into the next window by itself."""
    clock = SimpleNamespace(now=1_800_000_000 + 1800.0)
    monkeypatch.setattr(guesses, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


def login(victim: Operator, number: int | str, **body: Any) -> Any:
    """By REST, from a /64 of its own."""
    address = number if isinstance(number, str) else f"2001:db8:{number:x}::1"
    body = {"username": victim.user.username, "password": PASSWORD, **body}
    return victim.http.post(f"{API}/tokens", body, content_type="application/json", REMOTE_ADDR=address)


def test_codes_are_limited_for_the_account(operator: MakeOperator, client: WireClient) -> None:
    victim = operator("admin")
    victim.add_totp()
    codes = [error_code(login(victim, number, code="000000")) for number in range(23)]
    assert codes == ["SECOND_FACTOR_INVALID"] * 20 + ["LOGIN_LOCKED"] * 3
    refused = login(victim, 200, code=victim.code())
    assert (refused.status_code, error_code(refused)) == (429, "LOGIN_LOCKED")
    assert int(refused["Retry-After"]) == 1800
    assert "lift the lock" in refused.json()["error"]["message"]
    sign_in(client, victim.user.username, REMOTE_ADDR="2001:db8:201::1")
    page = client.post(CODE, {"code": victim.code()}, REMOTE_ADDR="2001:db8:201::1").content.decode()
    assert "from all addresses together" in page
    assert "_auth_user_id" not in client.session
    assert actions(victim.user).count("operator.locked_out") == 1


def test_codes_of_the_browser_and_of_rest_count_together(
    operator: MakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guesses, "CODES_PER_HOUR", 3)
    victim = operator("admin")
    victim.add_totp()
    for number in range(3):
        browser = WireClient(REMOTE_ADDR=f"2001:db8:{number:x}::1")
        sign_in(browser, victim.user.username)
        assert "Incorrect code" in browser.post(CODE, {"code": "000000"}).content.decode()
    assert error_code(login(victim, 100, code=victim.code())) == "LOGIN_LOCKED"


def test_without_the_password_nobody_uses_up_the_codes(
    operator: MakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guesses, "CODES_PER_HOUR", 3)
    victim = operator("admin")
    victim.add_totp()
    for number in range(5):
        login(victim, number, password="wrong", code="000000")
    assert login(victim, 100, code=victim.code()).status_code == 200


def test_what_proves_right_is_not_counted(operator: MakeOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "CODES_PER_HOUR", 3)
    monkeypatch.setattr(guesses, "PASSWORDS_PER_HOUR", 3)
    victim = operator("admin")
    victim.add_totp()
    for number in range(5):
        victim.forget_spent_codes()
        assert login(victim, number, code=victim.code()).status_code == 200


def test_the_lock_ends_with_the_hour(
    operator: MakeOperator, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guesses, "CODES_PER_HOUR", 3)
    victim = operator("admin")
    victim.add_totp()
    for number in range(4):
        login(victim, number, code="000000")
    assert error_code(login(victim, 99, code=victim.code())) == "LOGIN_LOCKED"
    clock.now += 1800
    assert login(victim, 100, code=victim.code()).status_code == 200


@pytest.fixture
def few_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "PASSWORDS_PER_HOUR", 6)


def guess_passwords(victim: Operator, username: str = "") -> list[str]:
    name = username or victim.user.username
    return [error_code(login(victim, number, username=name, password="wrong")) for number in range(8)]


@pytest.mark.usefixtures("few_passwords")
def test_passwords_are_limited_for_the_name(operator: MakeOperator, client: WireClient) -> None:
    victim = operator("admin", "Ada")
    assert guess_passwords(victim, "ａDA ") == ["CREDENTIALS_INVALID"] * 6 + ["LOGIN_LOCKED"] * 2
    assert error_code(login(victim, 100)) == "LOGIN_LOCKED", "a right password does not open it"
    answer = sign_in(client, "ada", REMOTE_ADDR="2001:db8:101::1")
    assert (answer.status_code, answer["Retry-After"]) == (429, "1800")
    assert "from all addresses together" in answer.content.decode()
    assert "_auth_user_id" not in client.session
    assert actions(victim.user).count("operator.locked_out") == 1


@pytest.mark.usefixtures("few_passwords")
def test_an_unknown_name_is_answered_alike_and_kept_nowhere(operator: MakeOperator) -> None:
    caller = operator("admin")
    assert guess_passwords(caller, "my-password") == ["CREDENTIALS_INVALID"] * 6 + ["LOGIN_LOCKED"] * 2
    assert {event.target_label for event in AuditEvent.objects.filter(action="operator.locked_out")} == {
        "unknown"
    }
    assert not RateCounter.objects.filter(subject__contains="my-password").exists()


@pytest.mark.usefixtures("few_passwords")
def test_strangers_do_not_keep_an_operator_out(operator: MakeOperator, client: WireClient) -> None:
    """Where they signed in from before they get in; guesses from there lock as before, at five."""
    victim = operator("admin")
    assert login(victim, HOME).status_code == 200
    guess_passwords(victim)
    assert error_code(login(victim, 100)) == "LOGIN_LOCKED"
    assert login(victim, "2001:db8:ffff::9").status_code == 200, "the same /64"
    assert sign_in(client, victim.user.username, REMOTE_ADDR=HOME).status_code == 302
    for _ in range(5):
        login(victim, HOME, password="wrong")
    assert "from this address" in login(victim, HOME).json()["error"]["message"]


@pytest.mark.usefixtures("few_passwords")
def test_what_the_lock_of_an_address_refuses_unseen_is_no_guess(
    operator: MakeOperator, client: WireClient
) -> None:
    victim = operator("admin")
    for _ in range(10):
        login(victim, 1, password="wrong")
        sign_in(client, victim.user.username, "wrong", REMOTE_ADDR="2001:db8:1::1")
    assert login(victim, 2).status_code == 200


@pytest.mark.usefixtures("few_passwords")
def test_an_admin_sees_the_lock_and_lifts_it(operator: MakeOperator) -> None:
    victim, admin = operator("manager"), operator("admin")
    victim.add_totp()
    guess_passwords(victim)
    browser = WireClient()
    browser.force_login(admin.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = browser.get(reverse("admin:accounts_user_change", args=[victim.user.pk])).content.decode()
    assert "Locked out from all addresses until" in page
    answer = admin.call("POST", f"users/{victim.user.pk}/unlock", {"reason": "it was they"})
    assert answer.status_code == 200, answer.content
    assert error_code(login(victim, 100)) == "SECOND_FACTOR_REQUIRED"
    assert AuditEvent.objects.get(action="operator.unlocked").before == {"locked_out_at": ["all addresses"]}
