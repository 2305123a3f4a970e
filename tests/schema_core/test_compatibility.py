"""Verdicts, differences and counterexamples."""

import io
import time
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.compatibility import CompatibilityError, CompatibilityLimit, check, check_history
from schemas.formats import check_document
from schemas.formats.validator import validator_for
from tests.schema_core.strategies import avro_data, avro_schemas, documents, field_documents, schema_pairs
from tests.support.examples import examples

ID = {"name": "id", "type": "string", "required": True}
MAIL = {"name": "mail", "type": "string"}


@pytest.mark.parametrize(
    ("old", "new", "mode", "codes"),
    [
        ([ID], [ID, MAIL], "BACKWARD", []),
        ([ID], [ID, MAIL], "FORWARD", ["FIELD_REMOVED"]),
        ([ID], [ID, MAIL | {"required": True}], "BACKWARD", ["FIELD_REQUIRED"]),
        ([ID, MAIL], [ID], "BACKWARD", ["FIELD_REMOVED"]),
        ([ID, MAIL], [ID], "FORWARD", []),
        ([ID], [ID | {"type": "integer"}], "BACKWARD", ["TYPE_CHANGED"]),
        ([ID], [ID | {"max_length": 5}], "BACKWARD", ["LENGTH_NARROWED"]),
        ([ID], [ID | {"nullable": True}], "BACKWARD", []),
        ([ID], [ID | {"nullable": True}], "FORWARD", ["TYPE_NARROWED"]),
        ([ID], [ID | {"type": "integer"}], "NONE", []),
        ([MAIL | {"type": "integer"}], [MAIL | {"type": "number"}], "BACKWARD", []),
        (
            [MAIL | {"type": "enum", "values": ["a", "b"]}],
            [MAIL | {"type": "enum", "values": ["a"]}],
            "BACKWARD",
            ["VALUE_REMOVED"],
        ),
        (
            [MAIL | {"type": "decimal", "precision": 9, "scale": 2}],
            [MAIL | {"type": "decimal", "precision": 10, "scale": 3}],
            "FULL",
            ["MULTIPLE_OF_CHANGED"],
        ),
    ],
)
def test_changes_of_fields(old: Any, new: Any, mode: Any, codes: list[str]) -> None:
    report = check("fields", old, new, mode)
    assert [difference.code for difference in report.differences] == codes
    assert report.compatible is not bool(codes)


def test_a_difference_points_into_both_documents_and_shows_a_document() -> None:
    old = [ID, {"name": "address", "type": "object", "fields": [{"name": "zip", "type": "string"}]}]
    new = [
        ID,
        {"name": "address", "type": "object", "fields": [{"name": "zip", "type": "string", "max_length": 5}]},
    ]
    report = check("fields", old, new, "BACKWARD").to_dict()
    [difference] = report["differences"]
    assert (report["policy"], report["witness"]) == ("exact", "verified")
    assert (difference["old_pointer"], difference["new_pointer"]) == ("/1/fields/0", "/1/fields/0/max_length")
    assert difference["message"] == "The new version admits at most 5 characters."
    assert validator_for("fields", old).is_valid(difference["counterexample"])
    assert not validator_for("fields", new).is_valid(difference["counterexample"])


def test_a_counterexample_is_refused_for_the_very_difference_that_shows_it() -> None:
    old = [ID, {"name": "n", "type": "integer"}]
    new = [ID, {"name": "n", "type": "string"}, {"name": "must", "type": "date", "required": True}]
    reasons = {
        difference.code: difference.counterexample.reason
        for difference in check("fields", old, new, "BACKWARD").differences
        if difference.counterexample
    }
    assert reasons == {
        "FIELD_REQUIRED": '"must" is a required property',
        "TYPE_CHANGED": '0 is not of type "string"',
    }


def test_a_difference_that_no_document_shows_alone_says_so() -> None:
    old = {"properties": {"a": {"type": "integer"}}}
    new = {"properties": {"a": {"type": "integer", "not": {"const": 5}}}, "required": ["y", "z"]}
    report = check("jsonschema", old, new, "BACKWARD")
    for difference in report.differences:
        shown = difference.counterexample
        if difference.code == "PROPERTY_REQUIRED":
            assert shown is not None
            assert shown.reason.split('"')[1] in difference.message
        elif shown is not None:
            assert "required" not in shown.reason


def test_reading_avro_says_when_its_failure_may_be_another_difference_s() -> None:
    old = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}
    changed = {"name": "a", "type": "string"}
    more = {"name": "must", "type": "string"}
    for fields, certain in (([changed], True), ([changed, more], False)):
        new = {"type": "record", "name": "R", "fields": fields}
        for difference in check("avro", old, new, "BACKWARD").differences:
            assert difference.counterexample is not None
            assert ("another" not in difference.counterexample.reason) is certain


def test_the_lenient_policy_ignores_a_new_optional_property_in_an_open_model_and_says_so() -> None:
    old = {"type": "object", "properties": {"a": {"type": "string"}}}
    new = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    exact, lenient = (
        check("jsonschema", old, new, "BACKWARD", policy=policy) for policy in ("exact", "lenient")
    )
    assert (exact.compatible, exact.policy, exact.witness) == (False, "exact", "verified")
    assert (lenient.compatible, lenient.policy) == (True, "lenient")
    assert [(d.code, d.breaking) for d in lenient.differences] == [("PROPERTY_ADDED_TO_OPEN_MODEL", False)]
    required = new | {"required": ["b"]}
    assert not check("jsonschema", old, required, "BACKWARD", policy="lenient").compatible


def test_transitive_modes_look_at_the_whole_history() -> None:
    history = [[ID, MAIL], [ID]]
    assert check_history("fields", history, [ID], "BACKWARD").compatible
    report = check_history("fields", history, [ID], "BACKWARD_TRANSITIVE")
    assert [(d.code, d.version) for d in report.differences] == [("FIELD_REMOVED", 0)]
    assert check_history("fields", [], [ID], "FULL_TRANSITIVE").compatible


def test_an_avro_counterexample_is_a_document_of_the_writer() -> None:
    old = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
    new = {"type": "enum", "name": "E", "symbols": ["A"]}
    [difference] = check("avro", old, new, "BACKWARD").differences
    assert difference.code == "MISSING_ENUM_SYMBOLS"
    assert difference.counterexample is not None
    assert difference.counterexample.document == "B"


def test_an_incompatible_verdict_without_a_document_says_so() -> None:
    endless = {
        "type": "record",
        "name": "L",
        "fields": [{"name": "v", "type": "long"}, {"name": "next", "type": "L"}],
    }
    narrowed = {
        "type": "record",
        "name": "L",
        "fields": [{"name": "v", "type": "int"}, {"name": "next", "type": "L"}],
    }
    report = check("avro", endless, narrowed, "BACKWARD").to_dict()
    assert (report["compatible"], report["witness"]) == (False, "not found")
    assert report["differences"][0]["witness"] == "not found"


def test_references_to_registered_schemas_are_looked_into() -> None:
    old = {"properties": {"a": {"$ref": "datafold:x/1"}}}
    new = {"properties": {"a": {"$ref": "datafold:x/2"}}}
    resources = {("x", "1"): {"type": "string"}, ("x", "2"): {"type": ["string", "null"]}}

    def verdict(mode: Any) -> bool:
        return check(
            "jsonschema", old, new, mode, old_resources=resources, new_resources=resources
        ).compatible

    assert (verdict("BACKWARD"), verdict("FORWARD")) == (True, False)


@pytest.mark.parametrize(
    ("format", "mode", "policy"), [("xml", "FULL", "exact"), ("avro", "X", "exact"), ("avro", "FULL", "x")]
)
def test_what_does_not_exist_is_refused(format: str, mode: Any, policy: Any) -> None:  # noqa: A002
    with pytest.raises(CompatibilityError, match="known are"):
        check(format, "int", "int", mode, policy=policy)


def nested(levels: int, leaf: str) -> Any:
    schema: Any = {"type": leaf}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def doubled(keyword: str, leaf: str) -> Any:
    levels = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    return {"$ref": "#/$defs/d0", "$defs": levels | {"d30": {"type": leaf}}}


def forked(leaf: str) -> Any:
    branch = {"type": "object", "required": ["a", "b"]}
    levels = {
        f"d{n}": branch | {"properties": {name: {"$ref": f"#/$defs/d{n + 1}"} for name in "ab"}}
        for n in range(40)
    }
    return {"$ref": "#/$defs/d0", "$defs": levels | {"d40": {"type": leaf}}}


def alternatives(count: int) -> Any:
    return {
        "allOf": [
            {"anyOf": [{"properties": {f"p{i}{k}": {"type": "string"}}} for k in range(count)]}
            for i in range(12)
        ]
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (nested(50_000, "string"), nested(50_000, "integer")),
        (doubled("allOf", "string"), doubled("allOf", "integer")),
        (doubled("oneOf", "string"), doubled("oneOf", "integer")),
        (alternatives(8), alternatives(7)),
    ],
)
def test_what_cannot_be_told_in_bounded_time_is_refused(old: Any, new: Any) -> None:
    begun = time.perf_counter()
    with pytest.raises(CompatibilityLimit) as refused:
        check("jsonschema", old, new, "FULL")
    assert refused.value.code == "SCHEMA_TOO_COMPLEX"
    assert time.perf_counter() - begun < 10


def test_references_between_schemas_cannot_multiply_without_end() -> None:
    resources: dict[tuple[str, str], Any] = {
        (f"s{n}", "1"): {"allOf": [{"$ref": f"datafold:s{n + 1}/1"}] * 2} for n in range(40)
    }
    resources[("s40", "1")] = {"type": "string"}
    with pytest.raises(CompatibilityLimit):
        check("jsonschema", {"$ref": "datafold:s0/1"}, {}, "BACKWARD", old_resources=resources)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"enum": list(range(5_000))}, {"enum": list(range(4_999))}),
        ({"pattern": "^(a+)+$"}, {"pattern": "^(a|aa)+b$"}),
        (forked("string"), forked("null")),
        ({"type": "array", "minItems": 10**9}, {"type": "array", "minItems": 10**9 + 1}),
        ({"multipleOf": 1.5}, {"multipleOf": 1e-300}),
    ],
)
def test_hostile_schemas_get_a_verdict_in_bounded_time(old: Any, new: Any) -> None:
    begun = time.perf_counter()
    check("jsonschema", old, new, "FULL")
    assert time.perf_counter() - begun < 10


@given(schema_pairs(), st.lists(documents, min_size=20, max_size=40))
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_generated_document_contradicts_a_verdict(pair: tuple[Any, Any], tried: list[Any]) -> None:
    old, new = pair
    if check_document("jsonschema", old) or check_document("jsonschema", new):
        return
    try:
        report = check("jsonschema", old, new, "BACKWARD")
    except CompatibilityLimit:
        return
    admits, reads = validator_for("jsonschema", old), validator_for("jsonschema", new)
    if report.compatible:
        assert [d for d in tried if admits.is_valid(d) and not reads.is_valid(d)] == []
    for difference in report.differences:
        if difference.counterexample is not None:
            assert admits.is_valid(difference.counterexample.document)
            assert not reads.is_valid(difference.counterexample.document)


@given(field_documents(), field_documents(), st.lists(documents, min_size=20, max_size=40))
@settings(max_examples=examples(30), deadline=None)
def test_no_generated_document_contradicts_a_verdict_on_fields(old: Any, new: Any, tried: list[Any]) -> None:
    report = check("fields", old, new, "BACKWARD")
    admits, reads = validator_for("fields", old), validator_for("fields", new)
    if report.compatible:
        assert [d for d in tried if admits.is_valid(d) and not reads.is_valid(d)] == []
    else:
        assert report.witness == "verified"
    for difference in report.differences:
        assert difference.old_pointer is not None
        assert difference.new_pointer is not None


@given(avro_schemas(), avro_schemas(), st.data())
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_data_of_a_compatible_avro_writer_is_read(old: Any, new: Any, data: st.DataObject) -> None:
    report = check("avro", old, new, "BACKWARD")
    collides = any(difference.code == "ALIAS_AMBIGUOUS" for difference in report.differences)
    assert report.compatible or report.witness == "verified" or collides
    if report.compatible:
        written = io.BytesIO()
        fastavro.schemaless_writer(written, old, data.draw(avro_data(old)))
        written.seek(0)
        fastavro.schemaless_reader(written, old, new)


@given(field_documents())
@settings(max_examples=examples(20), deadline=None)
def test_every_schema_is_compatible_with_itself(content: Any) -> None:
    assert check("fields", content, content, "FULL").differences == []
