"""The calls about operators."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts import operators
from accounts.audit import Actor
from accounts.models import AuditEvent, User
from accounts.roles import Role
from tests.operators.support import PASSWORD, Operator, error_code
from tests.operators.test_login import sign_in
from tests.support.client import WireClient

MakeOperator = Callable[..., Operator]


def test_create_shows_a_random_password_once(operator: MakeOperator) -> None:
    admin = operator("admin")
    answer = admin.call(
        "POST", "users", {"username": "grace", "email": "grace@example.com", "role": "manager"}
    )
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["roles"] == ["manager"]
    newcomer = Operator(User.objects.get(username="grace"), WireClient())
    assert newcomer.login(password=data["password"]).status_code == 200
    assert "password" not in admin.call("GET", f"users/{newcomer.user.pk}").json()["data"]
    event = AuditEvent.objects.get(action="operator.created", target_label="grace")
    assert event.actor_label == admin.user.username
    assert data["password"] not in str(event.after)


def test_a_chosen_password_is_not_shown_and_must_be_good(operator: MakeOperator) -> None:
    admin = operator("admin")
    assert (
        error_code(admin.call("POST", "users", {"username": "grace", "password": "grace"}))
        == "VALIDATION_FAILED"
    )
    answer = admin.call("POST", "users", {"username": "grace", "password": PASSWORD})
    assert answer.json()["data"]["password"] is None


@pytest.mark.parametrize("username", ["Grace", "grace", "GRACE"])
def test_names_differ_in_more_than_case(operator: MakeOperator, username: str) -> None:
    operator("auditor", "grace")
    answer = operator("admin").call("POST", "users", {"username": username})
    assert (answer.status_code, error_code(answer)) == (409, "USERNAME_TAKEN")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": ""},
        {"username": "has space"},
        {"username": "a" * 151},
        {"username": "x", "role": "root"},
        {"username": "x", "email": "no"},
        {"username": "x\u0000"},
        {"username": 5},
        [],
        '"x"',
    ],
)
def test_bad_bodies_are_422(operator: MakeOperator, body: Any) -> None:
    answer = operator("admin").call("POST", "users", body)
    assert answer.status_code == 422
    assert User.objects.count() == 1


def test_change_role_names_both_in_the_audit_log(operator: MakeOperator) -> None:
    admin, other = operator("admin"), operator("auditor")
    answer = admin.call("POST", f"users/{other.user.pk}/role", {"role": "manager", "reason": "promoted"})
    assert answer.json()["data"]["roles"] == ["manager"]
    event = AuditEvent.objects.get(action="operator.changed")
    assert (event.before, event.after, event.reason) == (
        {"roles": ["auditor"]},
        {"roles": ["manager"]},
        "promoted",
    )
    assert event.actor_label == admin.user.username


def test_without_a_role_the_admin_is_closed(operator: MakeOperator, client: WireClient) -> None:
    admin, other = operator("admin"), operator("auditor")
    sign_in(client, other.user.username)
    assert client.get("/admin/").status_code == 200
    assert admin.call("POST", f"users/{other.user.pk}/role", {"role": None}).json()["data"]["roles"] == []
    assert client.get("/admin/").status_code == 302


def test_a_demoted_superuser_is_none_any_more(operator: MakeOperator) -> None:
    root, other = operator("admin"), operator("admin")
    User.objects.update(is_superuser=True)
    assert root.call("POST", f"users/{other.user.pk}/role", {"role": "auditor"}).status_code == 200
    other.user.refresh_from_db()
    assert not other.user.is_superuser
    assert other.user.roles == [Role.AUDITOR]


def test_deactivating_and_letting_in_again(operator: MakeOperator) -> None:
    admin, other = operator("admin"), operator("manager")
    path = f"users/{other.user.pk}"
    assert other.call("GET", "keys").status_code == 200
    assert admin.call("POST", f"{path}/deactivate", {"reason": "left"}).json()["data"]["is_active"] is False
    assert other.call("GET", "keys").status_code == 401
    assert error_code(admin.call("POST", f"{path}/deactivate", {})) == "OPERATOR_STATE_CONFLICT"
    assert error_code(admin.call("POST", f"{path}/reactivate", {"reason": "  "})) == "REASON_MISSING"
    assert admin.call("POST", f"{path}/reactivate", {"reason": "came back"}).status_code == 200
    assert other.login().status_code == 200


def test_setting_a_password_ends_the_operators_sessions(operator: MakeOperator, client: WireClient) -> None:
    admin, other = operator("admin"), operator("manager")
    sign_in(client, other.user.username)
    answer = admin.call("POST", f"users/{other.user.pk}/password", {"reason": "forgotten"})
    assert answer.status_code == 200
    assert client.get("/admin/").status_code == 302
    assert other.login(password=answer.json()["data"]["password"]).status_code == 200


def test_a_name_is_judged_in_the_form_in_which_it_is_kept(operator: MakeOperator) -> None:
    """ "¼" is a character of words; its normal form "1⁄4" has one that is not."""
    answer = operator("admin").call("POST", "users", {"username": "¼"})
    assert error_code(answer) == "VALIDATION_FAILED"
    assert "username" in answer.json()["error"]["details"]["fields"]


def test_list_filters_and_pages(operator: MakeOperator) -> None:
    admin = operator("admin", "root")
    for number in range(5):
        operator("auditor", f"auditor-{number}")
    operators.deactivate_operator(User.objects.get(username="auditor-0"), actor=Actor.system("tests"))
    listed = admin.call("GET", "users?role=auditor&is_active=true&limit=3").json()
    assert [user["username"] for user in listed["data"]] == ["auditor-4", "auditor-3", "auditor-2"]
    cursor = listed["meta"]["pagination"]["next_cursor"]
    rest = admin.call("GET", f"users?role=auditor&is_active=true&limit=3&cursor={cursor}").json()
    assert [user["username"] for user in rest["data"]] == ["auditor-1"]
    assert error_code(admin.call("GET", "users?rolle=auditor")) == "VALIDATION_FAILED"
    assert admin.call("GET", "users?cursor=nonsense").status_code == 422


def test_the_list_shows_who_has_a_second_factor(operator: MakeOperator) -> None:
    admin, other = operator("admin"), operator("auditor")
    other.add_totp()
    shown = {user["id"]: user["second_factor"] for user in admin.call("GET", "users").json()["data"]}
    assert shown == {admin.user.pk: False, other.user.pk: True}


def test_the_list_takes_few_queries(operator: MakeOperator, django_assert_max_num_queries: Any) -> None:
    admin = operator("admin")
    for _ in range(10):
        operator("auditor")
    admin.call("GET", "me")
    with django_assert_max_num_queries(12):
        admin.call("GET", "users")


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_leave_one(operator: MakeOperator) -> None:
    admins = [operator("admin") for _ in range(2)]
    gate = threading.Barrier(2)
    results: list[str] = []

    def demote(actor: Operator, target: Operator) -> None:
        gate.wait()
        try:
            operators.change_role(target.user, actor=Actor.operator(actor.user), role=None)
            results.append("done")
        except (operators.LastAdmin, operators.OperatorForbidden) as error:
            results.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=demote, args=pair) for pair in (admins, admins[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "done" in results
    assert User.objects.filter(groups__name="admin").count() == 1
