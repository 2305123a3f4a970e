"""The compatibility vectors: for each file, how many verdicts are as it says."""

from collections.abc import Callable
from typing import Any, Final

from schemas.compatibility import check, check_history
from tests.vectors.result import Result

MISLABELLED: Final = frozenset({"apicurio_jsonschema:117:Complex: oneOf 1/BACKWARD"})
"""Called compatible by its source, yet "aaaaaa" fits exactly one of the old and both of the new branches."""


LEAST_SHARE: Final = 0.97
"""The share of the JSON Schema verdicts that has to be right."""


class SemanticResult(Result):
    """Falls short below `LEAST_SHARE`, or if one incompatible pair was called compatible."""

    unsound: int = 0

    @property
    def complete(self) -> bool:
        return self.total > 0 and self.passed >= LEAST_SHARE * self.total and not self.unsound


def verdict(case: dict[str, Any], format: str) -> bool:  # noqa: A002
    """Our verdict on one case; a history counts only for the transitive modes."""
    mode = case.get("mode", "BACKWARD")
    if mode.endswith("_TRANSITIVE"):
        return check_history(
            format, case.get("history") or [case["schema_old"]], case["schema_new"], mode
        ).compatible
    return check(format, case["schema_old"], case["schema_new"], mode).compatible


def _runner(format: str) -> Callable[[Any], Result]:  # noqa: A002
    def run(cases: Any) -> Result:
        failures = [
            f"{case['id']}: said to be {'compatible' if case['compatible'] else 'incompatible'}"
            for case in cases
            if verdict(case, format) is not case["compatible"]
        ]
        return Result(passed=len(cases) - len(failures), total=len(cases), failures=failures)

    return run


def run_json_schema(cases: Any) -> SemanticResult:
    counted = _runner("jsonschema")(cases)
    result = SemanticResult(counted.passed, counted.total, counted.failures)
    result.unsound = sum(1 for failure in counted.failures if failure.endswith(" incompatible"))
    return result


RUNNERS: Final[dict[str, Callable[[Any], Result]]] = {
    "compat/semantic_core_jsonschema.json": run_json_schema,
    "compat/apache_avro_py.json": _runner("avro"),
    "compat/apicurio_avro.json": _runner("avro"),
    "compat/confluent_avro.json": _runner("avro"),
    "compat/karapace_avro.json": _runner("avro"),
}
