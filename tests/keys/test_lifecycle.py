"""The key's state machine: every edge, every forbidden edge, two deciders at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import AuditEvent, User
from keys import lifecycle
from keys.errors import KeyStateConflict
from keys.models import TRANSITIONS, Key, KeyStatus, RevocationReason
from keys.registration import Registration, register
from tests.support.registered import public_key
from tests.support.signing import Signer

ACTOR = Actor.system("test")

ROUTES: dict[KeyStatus, list[Callable[[Key], Key]]] = {
    KeyStatus.PENDING: [],
    KeyStatus.ACTIVE: [lambda key: lifecycle.approve(key, actor=ACTOR)],
    KeyStatus.SUSPENDED: [
        lambda key: lifecycle.approve(key, actor=ACTOR),
        lambda key: lifecycle.suspend(key, actor=ACTOR, reason="noise"),
    ],
    KeyStatus.RETIRING: [
        lambda key: lifecycle.approve(key, actor=ACTOR),
        lambda key: lifecycle.start_retirement(key, actor=ACTOR, grace=timedelta(hours=1)),
    ],
    KeyStatus.REJECTED: [lambda key: lifecycle.reject(key, actor=ACTOR, reason="unknown machine")],
    KeyStatus.RETIRED: [
        lambda key: lifecycle.approve(key, actor=ACTOR),
        lambda key: lifecycle.start_retirement(key, actor=ACTOR, grace=timedelta(hours=1)),
        lambda key: lifecycle.retire(key, actor=ACTOR),
    ],
    KeyStatus.EXPIRED: [lambda key: lifecycle.expire(key, actor=ACTOR)],
    KeyStatus.REVOKED: [lambda key: lifecycle.revoke(key, actor=ACTOR)],
}

# Each decision with the states that it starts from.
DECISIONS: dict[str, tuple[Callable[[Key], Key], set[KeyStatus], KeyStatus]] = {
    "approve": (lambda key: lifecycle.approve(key, actor=ACTOR), {KeyStatus.PENDING}, KeyStatus.ACTIVE),
    "reject": (
        lambda key: lifecycle.reject(key, actor=ACTOR, reason="no"),
        {KeyStatus.PENDING},
        KeyStatus.REJECTED,
    ),
    "suspend": (
        lambda key: lifecycle.suspend(key, actor=ACTOR, reason="no"),
        {KeyStatus.ACTIVE},
        KeyStatus.SUSPENDED,
    ),
    "reactivate": (
        lambda key: lifecycle.reactivate(key, actor=ACTOR, reason="yes"),
        {KeyStatus.SUSPENDED},
        KeyStatus.ACTIVE,
    ),
    "start_retirement": (
        lambda key: lifecycle.start_retirement(key, actor=ACTOR, grace=timedelta(0)),
        {KeyStatus.ACTIVE},
        KeyStatus.RETIRING,
    ),
    "roll_back_retirement": (
        lambda key: lifecycle.roll_back_retirement(key, actor=ACTOR),
        {KeyStatus.RETIRING},
        KeyStatus.ACTIVE,
    ),
    "retire": (lambda key: lifecycle.retire(key, actor=ACTOR), {KeyStatus.RETIRING}, KeyStatus.RETIRED),
    "expire": (
        lambda key: lifecycle.expire(key, actor=ACTOR),
        {KeyStatus.PENDING, KeyStatus.ACTIVE, KeyStatus.SUSPENDED, KeyStatus.RETIRING},
        KeyStatus.EXPIRED,
    ),
    "revoke": (
        lambda key: lifecycle.revoke(key, actor=ACTOR, revocation_reason=RevocationReason.KEY_COMPROMISE),
        {KeyStatus.PENDING, KeyStatus.ACTIVE, KeyStatus.SUSPENDED, KeyStatus.RETIRING},
        KeyStatus.REVOKED,
    ),
}


def key_in(status: KeyStatus) -> Key:
    key = register(Registration(public_key=public_key(Signer())))
    for step in ROUTES[status]:
        key = step(key)
    assert key.status == status
    return key


@pytest.mark.django_db
@pytest.mark.parametrize("status", list(KeyStatus))
@pytest.mark.parametrize("decision", list(DECISIONS))
def test_each_decision_leads_only_where_it_may(status: KeyStatus, decision: str) -> None:
    decide, sources, target = DECISIONS[decision]
    key = key_in(status)
    events, epoch = AuditEvent.objects.count(), key.client.epoch
    if status in sources:
        assert decide(key).status == target
        key.client.refresh_from_db()
        assert key.client.epoch > epoch, "the workers must hear of it"
        assert AuditEvent.objects.count() == events + 1
        event = AuditEvent.objects.latest("id")
        assert event.before == {"status": status.value}
        assert event.after is not None
        assert event.after["status"] == target.value
    else:
        with pytest.raises(KeyStateConflict, match=status.value):
            decide(key)
        key.refresh_from_db()
        assert key.status == status
        assert AuditEvent.objects.count() == events, "what did not happen is not recorded"


@pytest.mark.django_db
@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(KeyStatus, 2)))
def test_the_database_refuses_what_the_lifecycle_does_not_know(source: KeyStatus, target: KeyStatus) -> None:
    key = key_in(source)
    changes: dict[str, Any] = {"status": target, "retire_at": timezone.now()}
    changes["revocation_reason"] = "unspecified" if target == KeyStatus.REVOKED else ""
    changes["compromised_since"] = None
    if target in TRANSITIONS.get(source, frozenset()):
        assert Key.objects.filter(pk=key.pk).update(**changes) == 1
        return
    with pytest.raises(IntegrityError, match="not an edge"), transaction.atomic():
        Key.objects.filter(pk=key.pk).update(**changes)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"thumbprint": "x" * 43},
        {"public_key": b"other"},
        {"algorithm": "rsa-pss-sha512"},
        {"proven": True},
        {"registered_at": timezone.now()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_was_registered_is_frozen(changes: dict[str, Any]) -> None:
    key = key_in(KeyStatus.ACTIVE)
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        Key.objects.filter(pk=key.pk).update(**changes)


@pytest.mark.django_db
def test_a_key_is_never_deleted() -> None:
    key = key_in(KeyStatus.REJECTED)
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        Key.objects.filter(pk=key.pk).delete()


@pytest.mark.django_db
def test_a_revocation_without_a_reason_is_refused_by_the_database() -> None:
    key = key_in(KeyStatus.ACTIVE)
    with pytest.raises(IntegrityError), transaction.atomic():
        Key.objects.filter(pk=key.pk).update(status=KeyStatus.REVOKED)


@pytest.mark.django_db
def test_a_decision_is_its_takers_and_nobody_elses() -> None:
    """What the client or a job did to a key later is not the operator's who approved it."""
    operator = User.objects.create_user("mara")
    key = lifecycle.approve(key_in(KeyStatus.PENDING), actor=Actor.operator(operator))
    assert key.decided_by == operator
    lifecycle.start_retirement(key, actor=Actor.client(key.client), grace=timedelta(hours=1))
    assert key.decided_by is None


@pytest.mark.django_db
def test_approving_narrows_scopes_and_profile_as_decided() -> None:
    key = lifecycle.approve(
        key_in(KeyStatus.PENDING), actor=ACTOR, scopes=["schemas:read"], profile="strict", reason="reader"
    )
    key.client.refresh_from_db()
    assert (key.client.scopes, key.client.profile) == (["schemas:read"], "strict")
    changed = AuditEvent.objects.get(action="client.changed")
    assert changed.after == {"scopes": ["schemas:read"], "profile": "strict"}


@pytest.mark.django_db(transaction=True)
def test_of_two_deciders_at_once_one_wins_and_the_other_is_told() -> None:
    key = key_in(KeyStatus.PENDING)
    barrier, outcomes = Barrier(2), []

    def decide(decision: Callable[[Key], Key]) -> None:
        own = Key.objects.select_related("client").get(pk=key.pk)
        barrier.wait(timeout=10)
        try:
            outcomes.append(decision(own).status)
        except KeyStateConflict:
            outcomes.append("told")
        finally:
            connection.close()

    threads = [
        Thread(target=decide, args=[lambda own: lifecycle.approve(own, actor=ACTOR)]),
        Thread(target=decide, args=[lambda own: lifecycle.reject(own, actor=ACTOR, reason="no")]),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    key.refresh_from_db()
    assert sorted(outcomes) == sorted(["told", key.status])
    assert AuditEvent.objects.filter(target_id=str(key.pk)).exclude(action="key.registered").count() == 1


@pytest.mark.django_db
def test_the_audit_log_cannot_be_rewritten_through_the_orm_or_sql() -> None:
    key_in(KeyStatus.ACTIVE)
    event = AuditEvent.objects.latest("id")
    with pytest.raises(TypeError, match="append-only"):
        AuditEvent.objects.filter(pk=event.pk).update(reason="nothing happened")
    with pytest.raises(TypeError, match="append-only"):
        event.delete()
    with pytest.raises(TypeError, match="append-only"):
        event.save()
    for statement in ("UPDATE accounts_auditevent SET reason = 'x'", "DELETE FROM accounts_auditevent"):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_every_trigger_survives_the_migrations(db: None) -> None:
    """SQLite drops a table's triggers when a migration rebuilds it."""
    catalogue: dict[str, Any] = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }
    with connection.cursor() as cursor:
        cursor.execute(catalogue[connection.vendor])
        names = {name for (name,) in cursor.fetchall()}
    assert names >= {
        "key_state_edges",
        "key_material_frozen",
        "key_never_deleted",
        "key_needs_approvals",
        "key_approvals_frozen",
        "approval_never_changed",
        "approval_never_deleted",
        "key_needs_outsiders",
        "approval_by_outsider",
        "client_owner_remembered_insert",
        "client_owner_remembered_update",
        "client_owners_no_update",
        "client_owners_no_delete",
        "audit_event_no_update",
        "audit_event_no_delete",
    }
