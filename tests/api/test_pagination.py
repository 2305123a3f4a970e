"""Pages: what a caller may ask for, and that a cursor of somebody's own making is refused and no crash."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from accounts.roles import Role
from tests.operators.support import Operator, make_operator
from tests.support.client import SignedClient

pytestmark = pytest.mark.django_db

OPERATORS = [f"operators/{name}" for name in ("users", "clients", "keys", "audit/events", "enrolment-tokens")]
CLIENTS = ["schemas", "schemas?ordering=-created_at", "audit/checkpoints"]


def cursor(query: str) -> str:
    return b64encode(query.encode()).decode().replace("=", "%3D").replace("+", "%2B")


HOSTILE = {
    "no base64": "nonsense",
    "no ASCII": "%C3%A9",
    "no value of the column": cursor("p=\N{PILE OF POO}"),
    "a word": cursor("p=abc"),
    "too large": cursor("p=" + "9" * 40),
    "a NUL": cursor("p=%00"),
    "before time": cursor("p=0001-01-01T00:00:00%2B14:00"),
    "no date": cursor("p=2026-02-31T00:00:00"),
    "an offset": cursor("o=-1"),
    "a direction": cursor("r=backwards&p=1"),
}


@pytest.fixture
def get(signed_client: SignedClient, settings: Any) -> Callable[[str], Any]:
    settings.DATAFOLD_ENCRYPTION_KEYS = ["b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMtMTI="]
    admin: Operator = make_operator(Role.ADMIN.value)

    def get(path: str) -> Any:
        if path.startswith("operators/"):
            return admin.call("GET", f"/api/v1/{path}")
        return signed_client.call("GET", f"/api/v1/{path}")

    return get


@pytest.mark.parametrize("path", [*OPERATORS, *CLIENTS])
def test_a_cursor_of_somebodys_own_making_is_refused(get: Callable[[str], Any], path: str) -> None:
    joint = "&" if "?" in path else "?"
    for kind, value in HOSTILE.items():
        answer = get(f"{path}{joint}cursor={value}")
        # A text column takes any word as a position.
        assert answer.status_code in ((200, 422) if kind in ("a word", "too large") else (422,)), kind


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "ten", "", "%D9%A3"])
def test_a_limit_that_is_none_is_refused(get: Callable[[str], Any], limit: str) -> None:
    for path in ("operators/users", "schemas"):
        answer = get(f"{path}?limit={limit}")
        assert answer.status_code == 422
        assert "limit" in answer.json()["error"]["details"]["fields"]


def test_a_limit_over_the_most_is_the_most(get: Callable[[str], Any]) -> None:
    assert get("operators/users?limit=99999999999999999999999").json()["meta"]["pagination"]["limit"] == 200
