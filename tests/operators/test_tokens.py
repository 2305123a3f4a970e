"""The life of an operator's tokens: login, use, refresh, reuse, revocation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.conf import settings as live_settings
from django.db import connection

from accounts import operators
from accounts.audit import Actor
from accounts.models import AuditEvent
from accounts.roles import Role
from tests.operators.support import API, PASSWORD, Operator, actions, error_code
from tests.support.client import SignedClient, WireClient

MakeOperator = Callable[..., Operator]


def refresh(http: WireClient, token: str) -> Any:
    return http.post(f"{API}/tokens/refresh", {"refresh_token": token}, content_type="application/json")


def revoke(http: WireClient, token: str) -> Any:
    return http.post(f"{API}/tokens/revoke", {"refresh_token": token}, content_type="application/json")


def test_login_gives_tokens_that_count(operator: MakeOperator) -> None:
    admin = operator("admin")
    answer = admin.login()
    assert answer.status_code == 200
    assert not answer.cookies, "a token login must leave nothing in a browser"
    tokens = answer.json()["data"]
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 300
    me = admin.call("GET", "me", token=tokens["access_token"])
    assert me.status_code == 200
    assert me.json()["data"]["username"] == admin.user.username
    assert me.json()["data"]["roles"] == ["admin"]
    assert me.json()["data"]["authentication_method"] == "token"
    event = AuditEvent.objects.get(action="operator.logged_in")
    assert event.actor_label == admin.user.username
    assert event.after == {"to": "token", "by": ["password"]}


def test_tokens_hold_no_secret_and_no_role(operator: MakeOperator) -> None:
    token = operator("manager").tokens()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) == {"iat", "exp", "sid", "jti", "token_use", "sub"}
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.parametrize("body", [{"password": "wrong"}, {"username": "nobody-at-all"}])
def test_wrong_credentials_are_refused_alike(operator: MakeOperator, body: dict[str, str]) -> None:
    answer = operator("admin").login(**body)
    assert answer.status_code == 401
    assert error_code(answer) == "CREDENTIALS_INVALID"
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_an_inactive_operator_gets_no_token(operator: MakeOperator) -> None:
    operator("admin")
    leaver = operator("manager")
    operators.deactivate_operator(leaver.user, actor=Actor.system("tests"))
    assert error_code(leaver.login()) == "CREDENTIALS_INVALID"


def test_refresh_rotates(operator: MakeOperator) -> None:
    admin = operator("admin")
    first = admin.tokens()
    second = refresh(admin.http, first["refresh_token"])
    assert second.status_code == 200
    data = second.json()["data"]
    assert data["refresh_token"] != first["refresh_token"]
    assert data["login_ends_at"] == first["login_ends_at"], "refreshing must not prolong the login"
    assert admin.call("GET", "me", token=data["access_token"]).status_code == 200
    assert refresh(admin.http, data["refresh_token"]).status_code == 200


def test_a_refresh_token_used_twice_ends_the_whole_family(operator: MakeOperator) -> None:
    admin = operator("admin")
    first = admin.tokens()
    second = refresh(admin.http, first["refresh_token"]).json()["data"]
    again = refresh(admin.http, first["refresh_token"])
    assert again.status_code == 401
    assert error_code(again) == "TOKEN_REUSED"
    for token in (first["access_token"], second["access_token"]):
        assert error_code(admin.call("GET", "me", token=token)) == "TOKEN_INVALID"
    assert error_code(refresh(admin.http, second["refresh_token"])) == "TOKEN_INVALID"
    assert "operator.tokens_revoked" in actions(admin.user)


def test_another_login_of_the_same_operator_goes_on(operator: MakeOperator) -> None:
    admin = operator("admin")
    stolen, other = admin.tokens(), admin.tokens()
    refresh(admin.http, stolen["refresh_token"])
    refresh(admin.http, stolen["refresh_token"])
    assert admin.call("GET", "me", token=other["access_token"]).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_refreshes_at_once_one_wins_and_the_family_ends(operator: MakeOperator) -> None:
    admin = operator("admin")
    token = admin.tokens()["refresh_token"]
    answers: list[Any] = []
    gate = threading.Barrier(2)

    def spend() -> None:
        gate.wait()
        answers.append(refresh(WireClient(), token))
        connection.close()

    threads = [threading.Thread(target=spend) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    winner = next(answer for answer in answers if answer.status_code == 200).json()["data"]
    assert error_code(refresh(admin.http, winner["refresh_token"])) == "TOKEN_INVALID"


def test_revoked_tokens_count_no_more(operator: MakeOperator) -> None:
    admin = operator("admin")
    tokens = admin.tokens()
    assert revoke(admin.http, tokens["refresh_token"]).json()["data"] == {"revoked": True}
    assert error_code(admin.call("GET", "me", token=tokens["access_token"])) == "TOKEN_INVALID"
    assert error_code(refresh(admin.http, tokens["refresh_token"])) == "TOKEN_INVALID"
    assert revoke(admin.http, tokens["refresh_token"]).json()["data"] == {"revoked": False}


def test_an_access_token_is_no_refresh_token_and_vice_versa(operator: MakeOperator) -> None:
    admin = operator("admin")
    tokens = admin.tokens()
    assert error_code(refresh(admin.http, tokens["access_token"])) == "TOKEN_INVALID"
    assert error_code(admin.call("GET", "me", token=tokens["refresh_token"])) == "TOKEN_INVALID"


@pytest.mark.parametrize("key", ["SECRET_KEY", "HEADLESS_JWT_PRIVATE_KEY"])
def test_forged_tokens_are_refused(operator: MakeOperator, key: str) -> None:
    admin = operator("admin")
    claims = jwt.decode(admin.tokens()["access_token"], options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")
    other_algorithm = jwt.encode(claims, getattr(live_settings, key), algorithm="HS512")
    expired = jwt.encode({**claims, "exp": 1}, getattr(live_settings, key), algorithm="HS256")
    other_sid = jwt.encode({**claims, "sid": "AAAA"}, getattr(live_settings, key), algorithm="HS256")
    for token in (unsigned, other_algorithm, expired, other_sid, "x", "x.y.z", "x" * 10_000, "é"):
        answer = admin.call("GET", "me", token=token)
        assert answer.status_code == 401, token
        assert error_code(answer) == "TOKEN_INVALID"


def test_a_deactivated_operator_loses_access_at_once(operator: MakeOperator) -> None:
    operator("admin")
    manager = operator("manager")
    tokens = manager.tokens()
    operators.deactivate_operator(manager.user, actor=Actor.system("tests"))
    assert error_code(manager.call("GET", "me", token=tokens["access_token"])) == "TOKEN_INVALID"
    assert error_code(refresh(manager.http, tokens["refresh_token"])) == "TOKEN_INVALID"


def test_a_changed_password_ends_every_token(operator: MakeOperator) -> None:
    manager = operator("manager")
    tokens = manager.tokens()
    operators.set_password(manager.user, actor=Actor.system("tests"))
    assert error_code(manager.call("GET", "me", token=tokens["access_token"])) == "TOKEN_INVALID"
    assert error_code(refresh(manager.http, tokens["refresh_token"])) == "TOKEN_INVALID"


def test_a_demoted_operator_loses_the_right_at_once(operator: MakeOperator) -> None:
    operator("admin")
    manager = operator("manager")
    assert manager.call("POST", "enrolment-tokens", {}).status_code == 201
    operators.change_role(manager.user, actor=Actor.system("tests"), role=Role.AUDITOR)
    answer = manager.call("POST", "enrolment-tokens", {})
    assert answer.status_code == 403
    assert answer.json()["error"]["details"] == {"permission": "keys.add_enrolmenttoken"}


# --- The schemes are never mixed up ---------------------------------------------------------------


def test_a_signed_request_with_a_token_is_refused(
    operator: MakeOperator, signed_client: SignedClient
) -> None:
    token = operator("admin").tokens()["access_token"]
    for path in ("/api/v1/auth/me", f"{API}/me", "/api/v1/system/status"):
        signed = signed_client.signer.sign("GET", f"http://testserver{path}")
        signed.headers["Authorization"] = f"Bearer {token}"
        answer = signed_client.send(signed)
        assert answer.status_code == 400
        assert error_code(answer) == "SCHEMES_MIXED"


def test_a_token_is_useless_on_signed_calls(operator: MakeOperator) -> None:
    answer = operator("admin").call("GET", "/api/v1/auth/me")
    assert answer.status_code == 401
    assert error_code(answer) == "SIGNATURE_MISSING"


def test_a_signature_is_useless_on_operators_calls(signed_client: SignedClient) -> None:
    for path in ("me", "keys", "users"):
        answer = signed_client.call("GET", f"{API}/{path}")
        assert answer.status_code == 401
        assert error_code(answer) == "NOT_AUTHENTICATED"
        assert answer["WWW-Authenticate"] == 'Bearer realm="operators"'
        assert "Accept-Signature" not in answer


def test_a_signed_login_is_refused(operator: MakeOperator, signed_client: SignedClient) -> None:
    admin = operator("admin")
    body = {"username": admin.user.username, "password": PASSWORD}
    answer = signed_client.call("POST", f"{API}/tokens", json_body=body)
    assert error_code(answer) == "SCHEMES_MIXED"


def test_a_session_call_needs_the_csrf_token(operator: MakeOperator, browser_client: WireClient) -> None:
    browser_client.force_login(operator("manager").user)
    assert browser_client.get(f"{API}/me").json()["data"]["authentication_method"] == "session"
    answer = browser_client.post(f"{API}/enrolment-tokens", {}, content_type="application/json")
    assert answer.status_code == 403
    assert error_code(answer) == "CSRF_FAILED"
    browser_client.cookies["csrftoken"] = "a" * 32
    answer = browser_client.post(
        f"{API}/enrolment-tokens", {}, content_type="application/json", HTTP_X_CSRFTOKEN="a" * 32
    )
    assert answer.status_code == 201


def test_a_signed_request_by_session_is_refused(operator: MakeOperator, signed_client: SignedClient) -> None:
    signed_client.force_login(operator("manager").user)
    assert error_code(signed_client.call("GET", f"{API}/me")) == "SCHEMES_MIXED"


def test_many_logins_from_one_address_are_slowed_down(operator: MakeOperator, settings: Any) -> None:
    settings.DATAFOLD_LOGIN_RATE = "2/hour"
    admin = operator("admin")
    codes = [admin.login().status_code for _ in range(3)]
    assert codes == [200, 200, 429]
