"""Callers of the registry, and what each test of it starts from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import SignedClient
from tests.support.registered import register_active

FIELDS = [{"name": "id", "type": "uuid", "required": True}, {"name": "at", "type": "datetime"}]
WITH_NOTE = [*FIELDS, {"name": "note", "type": "string"}]


@pytest.fixture(autouse=True)
def _cold(request: pytest.FixtureRequest) -> None:
    """What this process has read of the last test's schemas is not true of this one's."""
    from schemas.reading import forget_all

    forget_all()


@pytest.fixture
def owner(db: None) -> SignedClient:
    return SignedClient(register_active("owner"))


@pytest.fixture
def stranger(db: None) -> SignedClient:
    return SignedClient(register_active("stranger"))


@pytest.fixture
def make(owner: SignedClient) -> Callable[..., Any]:
    """Register a schema as the owner; answers its data."""

    def create(name: str = "events", **body: Any) -> Any:
        if "content" not in body:
            body.setdefault("fields", FIELDS)
        answer = owner.call("POST", "/api/v1/schemas", {"name": name, **body})
        assert answer.status_code == 201, answer.content
        return answer.json()["data"]

    return create
