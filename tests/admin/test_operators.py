"""The operators' pages are bound to what the admin saw; what others decided meanwhile is not undone by them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from accounts import operators
from accounts.admin import operators as pages
from accounts.audit import Actor
from accounts.models import AuditEvent, User
from accounts.roles import Role

SYSTEM = Actor.system("tests")
PASSWORD = "correct horse battery staple"


def change_url(user: User) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])


def opened(browser: Browser, user: User) -> dict[str, Any]:
    """What the page's form would send as it stands."""
    form = browser.get(change_url(user)).context["adminform"].form
    sent = {"email": user.email, "role": form["role"].value(), "seen": form["seen"].value(), "reason": ""}
    return {**sent, **({"is_active": "on"} if form["is_active"].value() else {})}


@pytest.fixture
def zoe(make_operator: Callable[..., User]) -> User:
    make_operator("other-admin", "admin")
    return make_operator("zoe", "admin")


@pytest.mark.parametrize("decided", ["demoted", "deactivated"])
def test_a_page_from_before_gives_nothing_back(admin: Browser, zoe: User, decided: str) -> None:
    form = opened(admin, zoe)
    if decided == "demoted":
        operators.change_role(zoe, actor=SYSTEM, role=Role.AUDITOR)
    else:
        operators.deactivate_operator(zoe, actor=SYSTEM)
    answer = admin.post(change_url(zoe), {**form, "email": "zoe@example.com", "reason": "new address"})
    assert answer.status_code == 200
    assert "changed while you were looking" in answer.content.decode()
    zoe.refresh_from_db()
    assert (zoe.roles, zoe.is_active, zoe.email) == (
        ([Role.AUDITOR], True, "") if decided == "demoted" else ([Role.ADMIN], False, "")
    )
    shown = answer.context["adminform"].form
    again = {name: shown[name].value() for name in ("email", "role", "seen", "reason")}
    again |= {"is_active": "on"} if shown["is_active"].value() else {}
    assert admin.post(change_url(zoe), again).status_code == 302, "it is shown again, as things are now"
    changed = User.objects.get(pk=zoe.pk)
    assert (changed.roles, changed.is_active) == (zoe.roles, zoe.is_active)
    assert changed.email == "zoe@example.com"


@pytest.mark.parametrize("seen", ["", "forged", "of another"])
def test_a_page_that_is_not_ours_changes_nothing(admin: Browser, zoe: User, seen: str) -> None:
    if seen == "of another":
        seen = operators.snapshot(User.objects.get(username="other-admin"))
    answer = admin.post(change_url(zoe), {**opened(admin, zoe), "seen": seen, "email": "x@example.com"})
    assert "Load it again" in answer.content.decode()
    assert User.objects.get(pk=zoe.pk).email == ""


def test_a_role_that_may_do_more_demands_a_reason(admin: Browser, zoe: User) -> None:
    for role, reason, expected in (
        ("auditor", "", Role.AUDITOR),
        ("manager", " ", Role.AUDITOR),
        ("manager", "back in the team", Role.MANAGER),
        ("", "", None),
        ("auditor", "", None),
    ):
        form = {**opened(admin, zoe), "role": role, "reason": reason}
        answer = admin.post(change_url(zoe), form, follow=True)
        assert User.objects.get(pk=zoe.pk).roles == ([expected] if expected else []), (role, reason)
        assert ("Say why" in answer.content.decode()) is (expected != (role or None))


def test_an_auditor_looks_and_is_shown_no_hidden_field(auditor: Browser, zoe: User) -> None:
    page = auditor.get(change_url(zoe))
    assert page.status_code == 200
    assert 'name="seen"' not in page.content.decode()


def test_setting_a_password_undoes_no_deactivation(
    admin: Browser, zoe: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes between the reading of the account and its writing."""
    judged = pages.OperatorPasswordForm.clean

    def clean(form: Any) -> Any:
        operators.deactivate_operator(zoe, actor=SYSTEM)
        return judged(form)

    monkeypatch.setattr(pages.OperatorPasswordForm, "clean", clean)
    url = reverse("admin:auth_user_password_change", args=[zoe.pk])
    form = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert admin.post(url, form).status_code == 302
    zoe.refresh_from_db()
    assert zoe.check_password(PASSWORD)
    assert not zoe.is_active
    assert AuditEvent.objects.filter(action="operator.password_changed").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_the_second_is_told(sit_down: Callable[..., Browser], zoe: User) -> None:
    forms: list[dict[str, Any]] = []
    browsers = [sit_down(name, "admin") for name in ("ada", "eve")]
    for browser, role in zip(browsers, ("auditor", ""), strict=True):
        forms.append({**opened(browser, zoe), "role": role})
    gate, answers = threading.Barrier(2), []

    def post(browser: Browser, form: dict[str, Any]) -> None:
        gate.wait()
        answers.append(browser.post(change_url(zoe), form).status_code)
        connection.close()

    threads = [threading.Thread(target=post, args=pair) for pair in zip(browsers, forms, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 302]
    assert AuditEvent.objects.filter(action="operator.changed", target_id=str(zoe.pk)).count() == 1
