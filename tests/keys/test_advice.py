"""A client learns from its own answers that a key is about to stop working."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.audit import Actor
from keys import epochs, lifecycle
from keys.models import Key
from tests.support.client import SignedClient
from tests.support.registered import register_active

pytestmark = pytest.mark.django_db

ACTOR = Actor.system("tests")


@pytest.fixture
def client() -> SignedClient:
    return SignedClient(register_active("machine-1"))


def warnings(client: SignedClient) -> list[str]:
    answer = client.call("GET", "/api/v1/auth/me")
    assert answer.status_code == 200, answer.content
    meta: dict[str, Any] = answer.json()["meta"]
    found: list[str] = meta.get("warnings", [])
    return found


def test_a_key_with_a_year_to_go_is_not_spoken_of(client: SignedClient) -> None:
    assert warnings(client) == []


def test_a_rotation_that_is_asked_for_is_told_from_the_next_answer_on(client: SignedClient) -> None:
    assert warnings(client) == []
    lifecycle.request_rotation(Key.objects.get(), actor=ACTOR, rotate_by=datetime(2100, 5, 1, tzinfo=UTC))
    [warning] = warnings(client)
    assert "2100-05-01" in warning
    assert "crypto/keys/rotate" in warning
    assert "passed" not in warning


def test_a_date_that_has_passed_is_called_so(client: SignedClient) -> None:
    lifecycle.request_rotation(Key.objects.get(), actor=ACTOR, rotate_by=datetime(2020, 5, 1, tzinfo=UTC))
    assert "has passed" in warnings(client)[0]


def test_a_retiring_key_is_told_until_when_it_verifies(client: SignedClient) -> None:
    key = lifecycle.start_retirement(Key.objects.get(), actor=ACTOR, grace=timedelta(hours=3))
    [warning] = warnings(client)
    assert "retiring" in warning
    assert f"{key.retire_at:%Y-%m-%d %H:%M}" in warning


@pytest.mark.parametrize(("days", "told"), [(29, True), (31, False)])
def test_an_end_within_thirty_days_is_told(client: SignedClient, days: int, told: bool) -> None:
    key = Key.objects.select_related("client").get()
    Key.objects.update(expires_at=timezone.now() + timedelta(days=days))
    epochs.advance(key.client)
    assert bool(warnings(client)) is told
