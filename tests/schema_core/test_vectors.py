"""The compatibility vectors, where they are at hand."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from schemas.compatibility import check
from tests.vectors.compat import MISLABELLED, RUNNERS, verdict

FOLDER = Path(os.environ.get("DATAFOLD_VECTORS", "../shared/vectors"))
JSON_SCHEMA = "compat/semantic_core_jsonschema.json"


def vectors(name: str) -> Any:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no vectors at {path}: set DATAFOLD_VECTORS")
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", [name for name in RUNNERS if "avro" in name])
def test_every_avro_verdict_is_right(name: str) -> None:
    result = RUNNERS[name](vectors(name))
    assert result.failures == []


def test_json_schema_verdicts_are_right_but_for_the_mislabelled() -> None:
    cases = vectors(JSON_SCHEMA)
    wrong = {case["id"] for case in cases if verdict(case, "jsonschema") is not case["compatible"]}
    assert wrong <= MISLABELLED


def test_every_incompatible_json_schema_pair_comes_with_a_counterexample() -> None:
    for case in vectors(JSON_SCHEMA):
        if not case["compatible"]:
            report = check("jsonschema", case["schema_old"], case["schema_new"], case["mode"])
            assert (case["id"], report.compatible, report.witness) == (case["id"], False, "verified")
