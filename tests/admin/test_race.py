"""Two managers decide the same key at the same moment, over HTTP: one wins, the other is told."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from tests.admin.conftest import form_of
from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller

PASSWORD = "correct horse battery staple"
NAMES = ("race-mara", "race-milo")
MAKE_OPERATORS = f"""
from django.contrib.auth.models import Group
from accounts.models import User
for name in {NAMES!r}:
    user, new = User.objects.get_or_create(username=name, defaults={{"is_staff": True}})
    user.set_password({PASSWORD!r}); user.save(); user.groups.set(Group.objects.filter(name="manager"))
"""
LOOK = """
from accounts.models import AuditEvent
from keys.models import Key
for key in Key.objects.filter(client__client_id__startswith="race-").order_by("client__client_id"):
    events = AuditEvent.objects.filter(target_kind="key", target_id=str(key.pk))
    print(key.client.client_id, key.status, key.decided_by.username,
          events.filter(action__in=["key.approved", "key.rejected"]).count(),
          events.filter(action="key.decision_refused").count())
"""


@pytest.fixture(scope="module")
def server(datafold_server: DataFoldServer) -> DataFoldServer:
    datafold_server.manage("shell", "-c", MAKE_OPERATORS)
    return datafold_server


def sit_down(server: DataFoldServer, name: str) -> httpx2.Client:
    """A session of that operator, signed in with the form that people use."""
    http = httpx2.Client(base_url=server.base_url, follow_redirects=True, timeout=60, trust_env=False)
    page = http.get("/admin/")
    token = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    field = "login" if 'name="login"' in page.text else "username"
    answer = http.post(
        page.url,
        data={"csrfmiddlewaretoken": token, field: name, "password": PASSWORD},
        headers={"Referer": str(page.url)},
    )
    assert answer.url.path == "/admin/", answer.text
    return http


def opened(http: httpx2.Client, verb: str, key_id: str) -> dict[str, Any]:
    """What the form of the confirmation page would send."""
    page = http.get(f"/admin/keys/key/decide/{verb}/", params={"key": key_id})
    assert page.status_code == 200, page.text
    token = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    return {**form_of(page), "csrfmiddlewaretoken": token, "profile": "standard", "reason": "at once"}


def test_of_two_managers_one_wins_and_the_other_is_told(server: DataFoldServer) -> None:
    mara, milo = (sit_down(server, name) for name in NAMES)
    caller = Caller(server.base_url)
    won: dict[str, str] = {}
    for number in range(4):
        client_id = f"race-{number}"
        key_id = caller.register(Signer(client_id)).json()["data"]["registration_id"]
        seats = [
            ("approve", mara, opened(mara, "approve", key_id)),
            ("reject", milo, opened(milo, "reject", key_id)),
        ]
        start, answers = threading.Barrier(2), {}

        def decide(verb: str, http: httpx2.Client, form: dict[str, Any]) -> None:
            start.wait()  # noqa: B023  joined before the next turn
            answers[verb] = http.post(  # noqa: B023
                f"/admin/keys/key/decide/{verb}/",
                content=urlencode(form, doseq=True),
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Referer": f"{server.base_url}/admin/",
                },
                follow_redirects=False,
            )

        threads = [threading.Thread(target=decide, args=seat) for seat in seats]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status_code for answer in answers.values()) == [302, 409], answers
        won[client_id] = next(verb for verb, answer in answers.items() if answer.status_code == 302)
        told = next(answer.text for answer in answers.values() if answer.status_code == 409)
        assert "changed while you were looking" in told
        assert "nothing was done" in told
    caller.close()
    lines = [
        line.split()
        for line in server.manage("shell", "-v0", "-c", LOOK).stdout.splitlines()
        if "race-" in line
    ]
    assert len(lines) == len(won)
    for client_id, status, by, decided, refused in lines:
        expected = ("active", "race-mara") if won[client_id] == "approve" else ("rejected", "race-milo")
        assert (status, by) == expected
        assert (decided, refused) == ("1", "1"), "one decision, and one refusal on record"
