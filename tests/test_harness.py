"""The tests' own ground: without it, what the others assert would mean little."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from accounts.audit import Actor, record_event
from accounts.models import AuditEvent
from tests.support.client import SignedClient
from tests.support.stack import Stack, current_stack


def test_the_database_is_the_one_of_the_stack(db: None) -> None:
    assert connection.vendor == ("sqlite" if current_stack() is Stack.SQLITE else "postgresql")


def test_on_commit_runs_at_the_end_of_the_outermost_transaction_of_the_code(db: None) -> None:
    ran: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: ran.append("outer"))
        with transaction.atomic():
            transaction.on_commit(lambda: ran.append("inner"))
        assert ran == []
    assert ran == ["outer", "inner"]


def test_on_commit_does_not_run_for_what_was_rolled_back(db: None) -> None:
    ran: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: ran.append("never"))
        transaction.set_rollback(True)
    transaction.on_commit(lambda: ran.append("at once"))
    assert ran == ["at once"]


@pytest.mark.parametrize("time", ["first", "second"])
def test_tests_that_commit_leave_nothing_and_find_the_roles(transactional_db: None, time: str) -> None:
    assert not AuditEvent.objects.exists()
    assert set(Group.objects.values_list("name", flat=True)) == {"admin", "manager", "auditor"}
    record_event(actor=Actor.system(), action="test.committed")
    with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_auditevent")


def test_a_signed_client_is_let_in(signed_client: SignedClient) -> None:
    response = signed_client.call("GET", "/api/v1/auth/me")
    assert response.status_code == 200, response.content
    assert response.json()["data"]["client_id"] == "signed-client"
