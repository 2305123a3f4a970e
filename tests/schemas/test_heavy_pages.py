"""A page is bounded in bytes, too: it ends early, and its cursors lead on from where it ended."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from project.api.pagination import MAX_PAGE_BYTES
from tests.support.client import SignedClient

Make = Callable[..., Any]

LARGE = 500_000
FIT = MAX_PAGE_BYTES // LARGE
COUNT = 2 * FIT + 1
VERSIONS = "/api/v1/schemas/large-00/versions"


def document(number: int) -> dict[str, Any]:
    return {"type": "object", "$comment": str(number), "description": "x" * LARGE}


@pytest.fixture
def versions(make: Make, owner: SignedClient) -> None:
    make("large-00", format="jsonschema", content=document(1), compatibility="NONE")
    for number in range(2, COUNT + 1):
        body = {"format": "jsonschema", "content": document(number)}
        answer = owner.call("POST", VERSIONS, body)
        assert answer.status_code == 201, answer.content[:500]


@pytest.fixture
def schemas(make: Make) -> None:
    for number in range(COUNT):
        make(f"large-{number:02}", format="jsonschema", content=document(number))


def read(owner: SignedClient, path: str, cursor: str | None) -> Any:
    joint = "&" if "?" in path else "?"
    answer = owner.call("GET", f"{path}{joint}cursor={cursor}" if cursor else path)
    assert answer.status_code == 200, answer.content[:500]
    assert len(answer.content) < MAX_PAGE_BYTES + 100_000
    return answer.json()


def walk(owner: SignedClient, path: str, member: str) -> tuple[list[list[Any]], list[list[Any]]]:
    """The pages from the first to the last, and those of the way back."""
    pages = [read(owner, path, None)]
    while cursor := pages[-1]["meta"]["pagination"]["next_cursor"]:
        pages.append(read(owner, path, cursor))
    back = []
    page = pages[-1]
    while cursor := page["meta"]["pagination"]["previous_cursor"]:
        page = read(owner, path, cursor)
        back.append(page)
    shown = [[[item[member] for item in page["data"]] for page in way] for way in (pages, back)]
    return shown[0], shown[1]


def test_versions(versions: None, owner: SignedClient) -> None:
    there, back = walk(owner, f"{VERSIONS}?limit=200", "number")
    assert [len(page) for page in there] == [FIT, FIT, 1]
    assert list(chain(*there)) == list(range(COUNT, 0, -1))
    assert back == [there[1], there[0]]


@pytest.mark.parametrize("ordering", ["name", "-name", "-created_at"])
def test_schemas(schemas: None, owner: SignedClient, ordering: str) -> None:
    there, back = walk(owner, f"/api/v1/schemas?limit=200&ordering={ordering}", "name")
    assert [len(page) for page in there] == [FIT, FIT, 1]
    names = [f"large-{number:02}" for number in range(COUNT)]
    assert list(chain(*there)) == (names if ordering == "name" else names[::-1])
    assert back == [there[1], there[0]]


def test_what_is_too_large_for_a_page_is_a_page(
    versions: None, owner: SignedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("project.api.pagination.MAX_PAGE_BYTES", LARGE // 2)
    answer = owner.call("GET", VERSIONS).json()
    assert [item["number"] for item in answer["data"]] == [COUNT]
    assert answer["meta"]["count"] == answer["meta"]["pagination"]["limit"] == 1
    assert answer["meta"]["pagination"]["has_more"] is True
