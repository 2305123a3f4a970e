"""With four eyes a key needs two operators who did not ask for it themselves; service and database agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from django.utils import timezone

from accounts.audit import Actor
from accounts.clients import change_client
from accounts.models import Client, User
from keys import lifecycle
from keys.four_eyes import FourEyesRefused
from keys.models import Approval, Key, KeyStatus
from keys.registration import issue_token
from tests.admin.conftest import decide, decide_url, form_of, open_page, pending_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def four_eyes(settings: Any) -> None:
    settings.DATAFOLD_FOUR_EYES = True


@pytest.fixture
def key() -> Key:
    return pending_key("orders")


def test_the_second_operator_activates(sit_down: Callable[..., Browser], key: Key) -> None:
    mara, milo = sit_down("mara", "manager"), sit_down("milo", "manager")
    page = mara.get(decide_url("approve", key)).content.decode()
    assert "becomes active when another operator agrees" in page
    assert decide(mara, "approve", key, scopes=["schemas:read"], profile="strict").status_code == 302
    key.refresh_from_db()
    assert key.status == KeyStatus.PENDING
    other = pending_key("invoices")
    assert "The others wait for another" in milo.get(decide_url("approve", key, other)).content.decode()
    page = milo.get(decide_url("approve", key)).content.decode()
    assert "becomes active at once" in page
    assert "1 of 2 approvals" in page
    assert "mara" in page
    assert "strict" in page, "the second operator sees the terms that the first one fixed"
    assert decide(milo, "approve", key).status_code == 302
    key.refresh_from_db()
    assert key.status == KeyStatus.ACTIVE
    assert Client.objects.get(client_id="orders").profile == "strict"
    assert Client.objects.get(client_id="orders").scopes == ["schemas:read"]


def test_one_operator_alone_does_not_activate(sit_down: Callable[..., Browser], key: Key) -> None:
    mara = sit_down("mara", "manager")
    decide(mara, "approve", key)
    second = decide(mara, "approve", key)
    assert second.status_code == 409
    assert "another operator must approve" in second.content.decode()
    assert "becomes active at once" not in second.content.decode()
    key.refresh_from_db()
    assert key.status == KeyStatus.PENDING


@pytest.mark.parametrize("part", ["owner", "registered_by"])
def test_who_stands_behind_the_client_does_not_count(
    sit_down: Callable[..., Browser], make_operator: Callable[..., User], key: Key, part: str
) -> None:
    own = make_operator("mara", "manager")
    Client.objects.filter(pk=key.client_id).update(**{part: own})
    response = decide(sit_down("mara"), "approve", key)
    assert response.status_code == 409
    assert "does not count" in response.content.decode()
    assert Approval.objects.count() == 0


def test_an_enrolment_token_is_one_operators_word(make_operator: Callable[..., User]) -> None:
    """Who issued the token could register a key of their own with it: it waits, and they do not count."""
    mara, milo, zoe = (make_operator(name, "manager") for name in ("mara", "milo", "zoe"))
    _, token = issue_token(issued_by=mara)
    key = pending_key("orders", enrolment_token=token)
    assert key.status == KeyStatus.PENDING
    with pytest.raises(FourEyesRefused):
        lifecycle.approve(key, actor=Actor.operator(mara))
    lifecycle.approve(key, actor=Actor.operator(milo))
    assert key.status == KeyStatus.PENDING
    lifecycle.approve(Key.objects.get(pk=key.pk), actor=Actor.operator(zoe))
    key.refresh_from_db()
    assert key.status == KeyStatus.ACTIVE


def test_other_terms_are_refused(make_operator: Callable[..., User], key: Key) -> None:
    lifecycle.approve(key, actor=Actor.operator(make_operator("mara", "manager")), profile="strict")
    with pytest.raises(FourEyesRefused, match="other terms"):
        lifecycle.approve(
            Key.objects.get(pk=key.pk),
            actor=Actor.operator(make_operator("milo", "manager")),
            profile="lenient",
        )


def test_nobody_approves_without_a_name(key: Key) -> None:
    with pytest.raises(FourEyesRefused, match="by name"):
        lifecycle.approve(key, actor=Actor.system("job"))


def test_the_first_approval_makes_other_pages_stale(sit_down: Callable[..., Browser], key: Key) -> None:
    mara, milo = sit_down("mara", "manager"), sit_down("milo", "manager")
    opened = open_page(milo, "approve", key)
    decide(mara, "approve", key)
    response = milo.post(decide_url("approve", key), {**opened, "profile": "standard"})
    assert response.status_code == 409
    assert milo.post(decide_url("approve", key), form_of(response)).status_code == 302


def test_the_database_refuses_an_activation_with_too_few(
    make_operator: Callable[..., User], key: Key
) -> None:
    lifecycle.approve(key, actor=Actor.operator(make_operator("mara", "manager")))
    for change in ({"status": "active"}, {"approvals_needed": 1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Key.objects.filter(pk=key.pk).update(**change)


def test_the_database_refuses_own_repeated_changed_and_deleted_approvals(
    make_operator: Callable[..., User], key: Key
) -> None:
    mara = make_operator("mara", "manager")
    facts = {"key": key, "operator": mara, "created_at": timezone.now()}
    for party in ("owner", "registrar", "inviter"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Approval.objects.create(**facts, **{party: mara})
    given = Approval.objects.create(**facts)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(**facts)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=given.pk).update(reason="rewritten")
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=given.pk).delete()


@pytest.mark.parametrize("part", ["owner", "registered_by"])
def test_the_database_refuses_approvals_by_who_stands_behind(
    make_operator: Callable[..., User], key: Key, part: str
) -> None:
    """Also where an approval is written past the service, and the owner has been changed back since."""
    mara = make_operator("mara", "manager")
    Client.objects.filter(pk=key.client_id).update(**{part: mara})
    if part == "owner":
        Client.objects.filter(pk=key.client_id).update(owner=None)
    with pytest.raises(IntegrityError, match="stands behind a key"), transaction.atomic():
        Approval.objects.create(key=key, operator=mara, created_at=timezone.now())


def test_the_database_refuses_an_approval_by_who_issued_the_token(make_operator: Callable[..., User]) -> None:
    mara = make_operator("mara", "manager")
    _, token = issue_token(issued_by=mara)
    key = pending_key("invited", enrolment_token=token)
    with pytest.raises(IntegrityError, match="stands behind a key"), transaction.atomic():
        Approval.objects.create(key=key, operator=mara, created_at=timezone.now())


def test_the_database_does_not_count_who_came_to_own_the_client(
    make_operator: Callable[..., User], key: Key
) -> None:
    """Two approvals, one by who then owned the client for a moment: no activation, whoever writes it."""
    mara, milo, zoe = (make_operator(name, "manager") for name in ("mara", "milo", "zoe"))
    for operator in (mara, milo):
        Approval.objects.create(key=key, operator=operator, created_at=timezone.now())
    for owner in (milo, None):
        Client.objects.filter(pk=key.client_id).update(owner=owner)
    with (
        pytest.raises(IntegrityError, match="more operators who do not stand behind it"),
        transaction.atomic(),
    ):
        Key.objects.filter(pk=key.pk).update(status="active")
    Approval.objects.create(key=key, operator=zoe, created_at=timezone.now())
    assert Key.objects.filter(pk=key.pk).update(status="active") == 1


def test_the_database_never_forgets_an_owner(make_operator: Callable[..., User], key: Key) -> None:
    mara = make_operator("mara", "manager")
    client = Client.objects.get(pk=key.client_id)
    Client.objects.filter(pk=client.pk).update(owner=mara)
    assert set(client.owners_ever.all()) == {mara}
    with pytest.raises(IntegrityError, match="never forgotten"), transaction.atomic():
        client.owners_ever.clear()
    with pytest.raises(IntegrityError, match="never forgotten"), transaction.atomic():
        mara.delete()
    born_owned = Client.objects.create(client_id="born-owned", owner=mara)
    assert set(born_owned.owners_ever.all()) == {mara}


def test_who_gives_the_client_away_does_not_count(make_operator: Callable[..., User], key: Key) -> None:
    """Own the client, give it to somebody else, approve: neither before nor after, nor with one's first approval."""
    mara, milo, zoe, tom = (make_operator(name, "manager") for name in ("mara", "milo", "zoe", "tom"))
    own = change_client(key.client, actor=Actor.operator(mara), changes={"owner": mara})
    change_client(own, actor=Actor.operator(mara), changes={"owner": zoe})
    with pytest.raises(FourEyesRefused, match="owned this client"):
        lifecycle.approve(Key.objects.get(pk=key.pk), actor=Actor.operator(mara))
    lifecycle.approve(Key.objects.get(pk=key.pk), actor=Actor.operator(milo))
    # Milo approves, then owns it for a moment: his approval no longer counts.
    change_client(key.client, actor=Actor.operator(milo), changes={"owner": milo})
    change_client(key.client, actor=Actor.operator(milo), changes={"owner": None})
    lifecycle.approve(Key.objects.get(pk=key.pk), actor=Actor.operator(tom))
    key.refresh_from_db()
    assert key.status == KeyStatus.PENDING
