"""`bootstrap`: the first operator, once, and the example clients."""

from __future__ import annotations

import json
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from accounts.models import AuditEvent, User
from accounts.roles import Role
from keys.models import Key

pytestmark = pytest.mark.django_db


def bootstrap(*arguments: str) -> str:
    output = StringIO()
    call_command("bootstrap", *arguments, stdout=output)
    return output.getvalue()


def test_the_first_operator_gets_a_password_that_is_shown_once() -> None:
    shown = bootstrap()
    password = re.findall(r"password  (\S+)", shown)[0]
    operator = User.objects.get()
    assert operator.check_password(password)
    assert operator.roles[0] is Role.ADMIN
    assert AuditEvent.objects.filter(action="operator.created", target_label="admin").count() == 1
    assert password not in str(list(AuditEvent.objects.values()))

    assert "password" not in bootstrap()
    assert User.objects.count() == 1


def test_where_somebody_operates_already_nobody_is_added() -> None:
    User.objects.create_user("somebody", password="a long enough passphrase")
    bootstrap()
    assert not User.objects.filter(username="admin").exists()


def test_demo_registers_examples_once() -> None:
    lines = [json.loads(line) for line in bootstrap("--demo").splitlines() if line.startswith("{")]
    assert {line["client_id"]: line["status"] for line in lines} == {
        "demo-billing": "pending",
        "demo-warehouse": "pending",
        "demo-orders": "active",
        "demo-laptop": "revoked",
    }
    bootstrap("--demo")
    assert Key.objects.count() == len(lines)


@override_settings(DATAFOLD_FOUR_EYES=True)
def test_under_four_eyes_no_example_is_approved() -> None:
    lines = [json.loads(line) for line in bootstrap("--demo").splitlines() if line.startswith("{")]
    assert [line["status"] for line in lines] == ["pending", "pending", "pending", "revoked"]


@override_settings(DATAFOLD_REGISTRATION_POLICY="closed")
def test_where_nobody_may_register_no_example_does() -> None:
    with pytest.raises(CommandError, match="No example was registered"):
        bootstrap("--demo")


@override_settings(DATAFOLD_DEVELOPMENT=False)
def test_demo_is_for_development() -> None:
    with pytest.raises(CommandError, match="DATAFOLD_DEVELOPMENT"):
        bootstrap("--demo")
