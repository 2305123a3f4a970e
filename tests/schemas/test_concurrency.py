"""Several workers register at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from schemas import access, registry
from schemas.documents import read_document
from schemas.errors import SchemaExists
from schemas.models import SchemaVersion

WORKERS = 6


def together(call: Callable[[int], Any]) -> list[Any]:
    """Call with 0…5 on threads of their own."""

    def run(number: int) -> Any:
        try:
            return call(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, range(WORKERS)))


def fields(*names: str) -> Any:
    return read_document("fields", [{"name": name, "type": "string"} for name in names])


@pytest.fixture
def _open(settings: Any) -> None:
    settings.DATAFOLD_ENABLE_AUTH = False


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_open")
def test_numbers_have_no_gaps() -> None:
    registry.create_schema(name="busy", document=fields("a"), author=None)

    def add(number: int) -> int:
        schema = access.find_schema("busy")
        document = fields("a", *(f"b{number}",))
        schema_version = registry.add_version(schema=schema, document=document, author=None)
        return schema_version.version.number

    from schemas.models import Schema

    Schema.objects.update(compatibility="NONE")
    assert sorted(together(add)) == [2, 3, 4, 5, 6, 7]
    assert sorted(SchemaVersion.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6, 7]
    assert access.find_schema("busy").served_number == 7


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_open")
def test_the_same_content_at_once_becomes_one_version() -> None:
    registry.create_schema(name="busy", document=fields("a"), author=None)

    def add(_: int) -> tuple[int, bool]:
        registered = registry.add_version(
            schema=access.find_schema("busy"), document=fields("a", "b"), author=None
        )
        return registered.version.number, registered.created

    answers = together(add)
    assert {number for number, _ in answers} == {2}
    assert sum(created for _, created in answers) == 1
    assert SchemaVersion.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_open")
def test_a_name_is_given_to_one() -> None:
    def create(number: int) -> bool:
        try:
            registry.create_schema(name="wanted", document=fields(f"a{number}"), author=None)
        except SchemaExists:
            return False
        return True

    assert sum(together(create)) == 1
    assert SchemaVersion.objects.count() == 1
