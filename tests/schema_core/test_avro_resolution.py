"""Names, aliases and unions of Avro: where readers part, the verdict is on the safe side."""

from typing import Any

import pytest

from schemas.compatibility import check


def record(*fields: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any = "long", *aliases: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **({"aliases": list(aliases)} if aliases else {}), **more}


def codes(old: Any, new: Any) -> list[str]:
    return [difference.code for difference in check("avro", old, new, "BACKWARD").differences]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Read as "b" by its own name, or as "a" by its alias: Java fails on the first, fastavro on the second.
        (record(field("a"), field("b")), record(field("a", "long", "b"))),
        (record(field("a"), field("b", "string")), record(field("a", "long", "b"))),
        # Renamed to "b", or still "a": Java does the first, fastavro the second.
        (record(field("a")), record(field("b", "long", "a"), field("a", default=0))),
        (record(field("a")), record(field("b", "long", "a"), field("c", "long", "a"))),
    ],
)
def test_a_name_that_collides_with_an_alias_is_a_break(old: Any, new: Any) -> None:
    assert set(codes(old, new)) == {"ALIAS_AMBIGUOUS"}


def test_an_alias_that_collides_with_nothing_is_followed() -> None:
    assert codes(record(field("a")), record(field("b", "long", "a"))) == []
    assert codes(record(field("a")), record(field("b", "string", "a"))) == ["TYPE_MISMATCH"]


def test_one_and_the_same_schema_is_read_without_resolution() -> None:
    colliding = record(field("a", "long", "b"), field("b"))
    assert codes(colliding, colliding) == []


def test_of_two_branches_of_one_short_name_the_first_is_taken() -> None:
    one = record(field("a"), name="S", namespace="x")
    other = record(name="S", namespace="y")
    assert codes([other], [one, other]) == ["FIELD_WITHOUT_DEFAULT"]
    assert codes([one, "null"], [one, other, "null"]) == []
    lenient = record(field("a", default=0), name="S", namespace="x")
    assert codes([other], [lenient, other]) == []


def test_a_branch_of_the_same_full_name_must_be_readable_too() -> None:
    first = record(name="S", namespace="x")
    written = record(name="S", namespace="y")
    grown = record(field("a"), name="S", namespace="y")
    assert codes([written], [first, grown]) == ["FIELD_WITHOUT_DEFAULT"]


def test_a_change_below_many_optional_records_is_one_difference_and_quickly_found() -> None:
    def nested(leaf: str) -> Any:
        kind: Any = leaf
        for level in range(13):
            kind = record(field("a", ["null", kind]), name=f"N{level}")
        return kind

    assert codes(nested("int"), nested("string")) == ["MISSING_UNION_BRANCH"]
    assert codes(nested("int"), nested("long")) == []


@pytest.mark.parametrize(
    "before",
    [
        {"type": "record", "name": "x.A", "fields": []},
        {"type": "fixed", "name": "x.A", "size": 2},
        {"type": "record", "name": "x.B", "fields": [], "aliases": ["A"]},
    ],
)
def test_a_branch_of_the_same_name_and_another_kind_is_in_the_way(before: Any) -> None:
    """`fastavro` takes the first branch by name alone, and fails."""
    enum = {"type": "enum", "name": "y.A", "symbols": ["X"]}
    assert [d.code for d in check("avro", enum, [before, enum], "BACKWARD").differences] == ["TYPE_MISMATCH"]
    assert check("avro", enum, [enum, before], "BACKWARD").compatible
