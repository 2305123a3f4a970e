"""The second factor: codes at login, in the browser and by REST, and where it is demanded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator

from accounts.models import AuditEvent
from tests.operators.support import PASSWORD, Operator, actions, error_code, totp
from tests.operators.test_login import sign_in
from tests.support.client import WireClient

MakeOperator = Callable[..., Operator]
CODE = "/account/2fa/authenticate/"


@pytest.fixture(autouse=True)
def _no_throttle(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = False


def open_totp_page(http: WireClient) -> Any:
    """It asks for the password again first."""
    asked = http.get("/account/2fa/totp/activate/")
    return http.post(asked["Location"], {"password": PASSWORD}, follow=True)


def set_up_totp(http: WireClient) -> str:
    """Through the pages, as a person would; returns the secret."""
    page = open_totp_page(http)
    secret: str = page.context["form"].secret
    answer = http.post("/account/2fa/totp/activate/", {"code": totp(secret)})
    assert answer.status_code == 302, answer.content
    return secret


# --- In the browser --------------------------------------------------------------------------------


def test_the_password_alone_does_not_sign_in(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    admin.add_totp()
    assert sign_in(client, admin.user.username)["Location"] == CODE
    assert "_auth_user_id" not in client.session
    assert client.get("/admin/").status_code == 302
    assert client.get("/api/v1/operators/me").status_code == 401


def test_the_code_signs_in_and_is_on_record(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    admin.add_totp()
    sign_in(client, admin.user.username)
    assert client.post(CODE, {"code": admin.code()}).status_code == 302
    assert client.get("/admin/").status_code == 200
    assert AuditEvent.objects.get(action="operator.logged_in").after == {
        "to": "browser session",
        "by": ["password", "totp"],
    }


def test_a_code_is_good_once(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    admin.add_totp()
    code = admin.code()
    assert admin.login(code=code).status_code == 200
    sign_in(client, admin.user.username)
    assert "Incorrect code" in client.post(CODE, {"code": code}).content.decode()
    assert error_code(admin.login(code=code)) == "SECOND_FACTOR_INVALID"


def test_an_older_code_is_not_good_after_a_newer_one(operator: MakeOperator) -> None:
    admin = operator("admin")
    admin.add_totp()
    older, newer = admin.code(), admin.code(1)
    assert admin.login(code=newer).status_code == 200
    assert error_code(admin.login(code=older)) == "SECOND_FACTOR_INVALID"


def test_codes_from_long_ago_or_ahead_are_wrong(operator: MakeOperator) -> None:
    admin = operator("admin")
    admin.add_totp()
    for steps in (-4, 4):
        assert error_code(admin.login(code=admin.code(steps))) == "SECOND_FACTOR_INVALID"


def test_wrong_codes_lock_like_wrong_passwords(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    admin.add_totp()
    sign_in(client, admin.user.username)
    answers = [client.post(CODE, {"code": "000000"}).status_code for _ in range(5)]
    assert answers == [200, 200, 200, 200, 429]
    assert "Too many failed attempts" in client.post(CODE, {"code": admin.code()}).content.decode()
    client.post(CODE, {"code": admin.code()})
    assert "_auth_user_id" not in client.session, "a right code must not open a lock"
    assert error_code(admin.login(code=admin.code())) == "LOGIN_LOCKED"
    assert actions(admin.user).count("operator.login_failed") == 5


def test_secrets_lie_encrypted(operator: MakeOperator) -> None:
    admin = operator("admin")
    secret = admin.add_totp()
    codes = admin.add_recovery_codes()
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert not any(code in stored for code in codes)


def test_setting_up_an_app_through_the_pages(operator: MakeOperator, client: WireClient) -> None:
    admin = operator("admin")
    sign_in(client, admin.user.username)
    set_up_totp(client)
    assert "operator.second_factor_added" in actions(admin.user)
    page = client.get("/account/2fa/recovery-codes/")
    codes = page.context["unused_codes"]
    assert len(codes) == 10
    assert admin.login(code=codes[0]).status_code == 200
    assert error_code(admin.login(code=codes[0])) == "SECOND_FACTOR_INVALID"


def test_changing_factors_asks_for_the_password_again(
    operator: MakeOperator, client: WireClient, settings: Any
) -> None:
    admin = operator("admin")
    client.force_login(admin.user)  # a session without a fresh login behind it
    answer = client.get("/account/2fa/totp/activate/")
    assert answer["Location"].startswith("/account/reauthenticate/")
    assert client.get("/account/reauthenticate/").status_code == 200


def test_without_encryption_keys_the_page_says_so(
    operator: MakeOperator, client: WireClient, settings: Any
) -> None:
    admin = operator("admin")
    sign_in(client, admin.user.username)
    page = open_totp_page(client)
    settings.DATAFOLD_ENCRYPTION_KEYS = []
    answer = client.post("/account/2fa/totp/activate/", {"code": totp(page.context["form"].secret)})
    assert answer.status_code == 503
    assert "DATAFOLD_ENCRYPTION_KEYS" in answer.content.decode()
    assert not Authenticator.objects.exists()


# --- By REST ---------------------------------------------------------------------------------------


def test_rest_asks_for_the_code_only_when_the_password_is_right(operator: MakeOperator) -> None:
    admin = operator("admin")
    admin.add_totp()
    assert error_code(admin.login(password="wrong")) == "CREDENTIALS_INVALID"
    answer = admin.login()
    assert answer.status_code == 401
    assert error_code(answer) == "SECOND_FACTOR_REQUIRED"
    assert admin.login(code=admin.code()).status_code == 200


def test_rest_takes_a_recovery_code_once(operator: MakeOperator) -> None:
    admin = operator("admin")
    admin.add_totp()
    codes = admin.add_recovery_codes()
    assert admin.login(code=codes[3]).status_code == 200
    assert error_code(admin.login(code=codes[3])) == "SECOND_FACTOR_INVALID"


def test_another_operators_code_is_wrong(operator: MakeOperator) -> None:
    admin, manager = operator("admin"), operator("manager")
    admin.add_totp()
    manager.add_totp()
    assert error_code(manager.login(code=admin.code())) == "SECOND_FACTOR_INVALID"


@pytest.mark.parametrize("code", ["", "x" * 1000, "１２３４５６", "\u0000", 123456, None, ["1"]])
def test_hostile_codes(operator: MakeOperator, code: Any) -> None:
    admin = operator("admin")
    admin.add_totp()
    assert admin.login(code=code).status_code in (401, 422)


# --- Demanded --------------------------------------------------------------------------------------


def test_where_it_is_demanded_rest_refuses_an_operator_without_one(
    operator: MakeOperator, settings: Any
) -> None:
    settings.DATAFOLD_REQUIRE_MFA = True
    answer = operator("admin").login()
    assert answer.status_code == 403
    assert error_code(answer) == "SECOND_FACTOR_MISSING"


def test_a_token_from_before_it_was_demanded_is_refused(operator: MakeOperator, settings: Any) -> None:
    admin = operator("admin")
    token = admin.tokens()["access_token"]
    settings.DATAFOLD_REQUIRE_MFA = True
    assert error_code(admin.call("GET", "me", token=token)) == "SECOND_FACTOR_MISSING"


def test_where_it_is_demanded_the_admin_waits_until_it_is_set_up(
    operator: MakeOperator, client: WireClient, settings: Any
) -> None:
    settings.DATAFOLD_REQUIRE_MFA = True
    admin = operator("admin")
    sign_in(client, admin.user.username)
    for path in ("/admin/", "/admin/keys/key/", "/admin/accounts/client/", "/admin/jsi18n/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/account/2fa/"), path
    assert client.post("/admin/accounts/client/add/", {"client_id": "x"})["Location"] == "/account/2fa/"
    assert error_code(client.get("/api/v1/operators/me")) == "SECOND_FACTOR_MISSING"
    assert "Set one up to go on" in client.get("/account/2fa/").content.decode()
    set_up_totp(client)
    assert client.get("/admin/").status_code == 200
    assert client.get("/api/v1/operators/me").status_code == 200


def test_recovery_codes_alone_are_no_second_factor(operator: MakeOperator, settings: Any) -> None:
    settings.DATAFOLD_REQUIRE_MFA = True
    admin = operator("admin")
    codes = admin.add_recovery_codes()
    assert error_code(admin.login(code=codes[0])) == "SECOND_FACTOR_MISSING"


def test_signing_out_is_always_possible(operator: MakeOperator, client: WireClient, settings: Any) -> None:
    settings.DATAFOLD_REQUIRE_MFA = True
    admin = operator("admin")
    sign_in(client, admin.user.username, PASSWORD)
    assert client.post("/admin/logout/").status_code in (200, 302)
    assert "_auth_user_id" not in client.session
