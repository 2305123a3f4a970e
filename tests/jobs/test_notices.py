from __future__ import annotations

import smtplib
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import User
from keys import jobs, rotation_requests
from keys.jobs.notices import summarise_the_day, warn_of_expiry
from keys.models import ExpiryWarning, RotationNotice
from project.mail import send_mail
from tests.jobs.keys import active, pending

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _operators(settings: Any) -> None:
    settings.DATAFOLD_OPERATORS_EMAIL = ["ops@example.com"]
    settings.DATAFOLD_SERVER_URL = "https://datafold.example.com"


def expiring(client_id: str, *, days: float, email: str = "owner@example.com") -> Any:
    return active(client_id, email=email, expires_at=timezone.now() + timedelta(days=days))


def test_contact_and_operators_are_warned_once() -> None:
    expiring("a-1", days=29)
    for _ in range(3):
        jobs.run("warn-of-expiry")
    assert sorted(message.to[0] for message in mail.outbox) == ["ops@example.com", "owner@example.com"]
    contact = next(message for message in mail.outbox if message.to == ["owner@example.com"])
    assert "a-1 expires on" in contact.subject
    assert "https://datafold.example.com/api/v1/crypto/keys/rotate" in contact.body


def test_each_threshold_has_its_warning() -> None:
    key = expiring("a-1", days=40)
    days_before = [35, 29, 20, 6, 3, 0.5, 0.1]
    for days in days_before:
        warn_of_expiry(key.expires_at - timedelta(days=days))
    assert sorted(ExpiryWarning.objects.filter(audience="contact").values_list("days", flat=True)) == [
        1,
        7,
        30,
    ]
    assert len([message for message in mail.outbox if message.to == ["owner@example.com"]]) == 3


def test_after_days_without_a_beat_only_the_nearest_warning_goes_out() -> None:
    expiring("a-1", days=0.5)
    jobs.run("warn-of-expiry")
    assert list(ExpiryWarning.objects.filter(audience="contact").values_list("days", flat=True)) == [1]


def test_a_prolonged_key_is_warned_of_anew() -> None:
    key = expiring("a-1", days=5)
    warn_of_expiry(timezone.now())
    key.expires_at += timedelta(days=365)
    key.save()
    warn_of_expiry(key.expires_at - timedelta(days=5))
    assert ExpiryWarning.objects.filter(audience="contact", days=7).count() == 2


def test_operators_get_one_mail_for_many_keys() -> None:
    for number in range(3):
        expiring(f"a-{number}", days=5, email="")
    jobs.run("warn-of-expiry")
    [message] = mail.outbox
    assert all(f"a-{number}" in message.body for number in range(3))
    assert "no contact known" in message.body


def test_keys_that_are_not_active_are_not_warned_of() -> None:
    from keys import lifecycle

    key = expiring("a-1", days=5)
    lifecycle.revoke(key, actor=Actor.system("tests"))
    jobs.run("warn-of-expiry")
    assert mail.outbox == []


def test_a_mail_server_that_is_away_loses_nothing(monkeypatch: Any) -> None:
    expiring("a-1", days=5)
    with monkeypatch.context() as patch:
        patch.setattr("keys.jobs.notices.send_mail", _refuse)
        assert jobs.run("warn-of-expiry") == {"contacts": 0, "operators": 0}
    assert warn_of_expiry(timezone.now() + timedelta(minutes=16)) == {"contacts": 1, "operators": 1}


def test_dead_addresses_do_not_hold_up_the_others(monkeypatch: Any) -> None:
    monkeypatch.setattr("keys.jobs.outbox.BATCH", 2)
    for number in range(3):
        expiring(f"a-{number}", days=5, email=f"dead-{number}@example.com")
    now = timezone.now()

    def deliver(*args: Any, to: list[str], **options: Any) -> None:
        if to[0].startswith("dead"):
            raise smtplib.SMTPRecipientsRefused({to[0]: (550, b"no such user")})
        send_mail(*args, to=to, **options)

    monkeypatch.setattr("keys.jobs.notices.send_mail", deliver)
    assert warn_of_expiry(now)["contacts"] == 0
    expiring("b-1", days=5)
    assert warn_of_expiry(now + timedelta(minutes=1))["contacts"] == 1


def test_a_mail_server_that_hangs_is_waited_for_once(monkeypatch: Any) -> None:
    for number in range(3):
        expiring(f"a-{number}", days=5)
    tried: list[str] = []

    def hang(template: str, *args: Any, **options: Any) -> None:
        tried.append(template)
        raise TimeoutError("timed out")

    monkeypatch.setattr("keys.jobs.notices.send_mail", hang)
    jobs.run("warn-of-expiry")
    assert tried == ["expiry_contact", "expiry_operators"]


def test_a_worker_that_died_after_its_claim_is_made_up_for() -> None:
    """The second mail bears the Message-ID of the first, in case that one went out."""
    expiring("a-1", days=5)
    now = timezone.now()
    warn_of_expiry(now)
    first = {message.extra_headers["Message-ID"] for message in mail.outbox}
    ExpiryWarning.objects.update(sent_at=None)  # as if killed before it was marked
    warn_of_expiry(now + timedelta(minutes=5))
    assert len(mail.outbox) == 2
    warn_of_expiry(now + timedelta(minutes=16))
    assert len(mail.outbox) == 4
    assert {message.extra_headers["Message-ID"] for message in mail.outbox} == first


def test_a_requested_rotation_is_mailed_once() -> None:
    key = active("a-1", email="owner@example.com")
    by = timezone.now() + timedelta(days=10)
    rotation_requests.request(key, actor=Actor.system("tests"), rotate_by=by)
    for _ in range(2):
        jobs.run("ask-for-rotation")
    [message] = mail.outbox
    assert f"by {by:%Y-%m-%d}" in message.subject
    assert RotationNotice.objects.get().sent_at is not None


def test_the_summary_says_once_a_day_what_waits() -> None:
    pending("p-1")
    morning = timezone.now().replace(hour=7)
    assert summarise_the_day(morning.replace(hour=5)) == {"sent": 0}
    for _ in range(2):
        summarise_the_day(morning)
    [message] = mail.outbox
    assert "1 key waits for a decision" in message.subject
    assert "p-1" in message.body
    summarise_the_day(morning + timedelta(days=1))
    assert len(mail.outbox) == 2


def test_no_summary_when_nothing_waits() -> None:
    summarise_the_day(timezone.now().replace(hour=7))
    assert mail.outbox == []


def test_operators_are_admins_and_managers_by_default(settings: Any) -> None:
    from django.contrib.auth.models import Group

    from accounts.roles import Role
    from keys.jobs.outbox import operators

    settings.DATAFOLD_OPERATORS_EMAIL = []
    for role in Role:
        user = User.objects.create_user(role, email=f"{role}@example.com")
        user.groups.add(Group.objects.get(name=role))
    User.objects.create_user("gone", email="gone@example.com", is_active=False, is_superuser=True)
    assert operators() == ["admin@example.com", "manager@example.com"]


def test_control_characters_cannot_split_a_header() -> None:
    key = active("a-1")
    key.client.client_id = "evil\r\nBcc: x@example.com"
    send_mail("expiry_contact", {"key": key, "days": 1}, to=["a@example.com"], identity="x")
    assert "\n" not in mail.outbox[0].subject


@pytest.mark.django_db(transaction=True)
def test_three_workers_at_once_send_one_mail() -> None:
    expiring("a-1", days=5)
    barrier, errors = threading.Barrier(3), []

    def work() -> None:
        try:
            barrier.wait()
            jobs.run("warn-of-expiry")
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(message.to[0] for message in mail.outbox) == ["ops@example.com", "owner@example.com"]


def _refuse(*args: Any, **kwargs: Any) -> None:
    raise ConnectionRefusedError("no mail server")
