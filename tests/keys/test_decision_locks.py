"""A decision on a key holds the key and its client: what the operator saw of both is true until it is done."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from accounts.audit import Actor
from accounts.clients import change_client
from accounts.models import Client
from keys import decisions
from keys.decisions import Details, Verb
from keys.models import Key
from tests.support.registered import register_pending
from tests.support.stack import Stack, current_stack

SYSTEM = Actor.system("tests")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(current_stack() is not Stack.POSTGRES, reason="SQLite has one writer at a time"),
]


@pytest.fixture
def key() -> Key:
    register_pending("narrowed")
    return Key.objects.select_related("client").get(client__client_id="narrowed")


def narrow(key: Key, failures: list[Exception]) -> None:
    """In a transaction of its own, which does not wait."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '50ms'")
            change_client(key.client, actor=SYSTEM, changes={"scopes": ["schemas:read"]})
    except OperationalError as error:
        failures.append(error)
    finally:
        connection.close()


def test_a_change_of_the_client_waits_for_the_decision(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Exception] = []
    judged = decisions._refuse_wrong_times

    def meanwhile(*args: Any) -> None:
        thread = threading.Thread(target=narrow, args=(key, failures))
        thread.start()
        thread.join()
        judged(*args)

    monkeypatch.setattr(decisions, "_refuse_wrong_times", meanwhile)
    wide = Details(scopes=["schemas:read", "schemas:write"])
    decisions.decide(
        key.pk, Verb.APPROVE, actor=SYSTEM, seen=decisions.snapshot(decisions.load([key.pk])[0]), details=wide
    )
    assert len(failures) == 1, "the client was changed under the decision"
    assert Client.objects.get(pk=key.client_id).scopes == ["schemas:read", "schemas:write"]
    narrow(key, [])
    assert Client.objects.get(pk=key.client_id).scopes == ["schemas:read"]


def test_what_only_refers_to_the_client_does_not_wait(key: Key) -> None:
    """Another key of the client, say: its foreign key asks for no more than that the client stays."""
    failures: list[Exception] = []

    def insert() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '50ms'")
                cursor.execute("SELECT 1 FROM accounts_client WHERE id = %s FOR KEY SHARE", [key.client_id])
        except OperationalError as error:
            failures.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        decisions.load([key.pk], lock=True)
        thread = threading.Thread(target=insert)
        thread.start()
        thread.join()
    assert failures == []
