"""How fast verdicts are: `python -m benchmarks.compatibility [--json]`.

For each format: verdicts per second on small everyday pairs (half of them incompatible, with a
verified counterexample), and milliseconds for one pair of 200-field schemas, compatible and not.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from schemas.compatibility import check
from schemas.formats.convert import convert

FIELDS = 200
TYPES = ("string", "integer", "number", "boolean", "date", "uuid")
SMALL = 8


def fields(count: int) -> list[dict[str, Any]]:
    return [{"name": f"f{n}", "type": TYPES[n % len(TYPES)], "required": n % 2 == 0} for n in range(count)]


def pairs(format: str, count: int) -> tuple[tuple[Any, Any], tuple[Any, Any]]:  # noqa: A002
    """((old, new) that is compatible, (old, new) that is not), of `count` fields each."""
    old, optional = fields(count), {"name": "added", "type": "string"}
    versions = [old, [*old, optional], [*old, optional | {"required": True}]]
    contents = [
        version if format == "fields" else convert("fields", version, format).content for version in versions
    ]
    return (contents[0], contents[1]), (contents[0], contents[2])


def seconds(call: Callable[[], Any], *, repeats: int) -> float:
    """The median time of one call."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def measure(format: str) -> dict[str, float]:  # noqa: A002
    small, large = pairs(format, SMALL), pairs(format, FIELDS)
    for (old, new), expected in zip((*small, *large), (True, False) * 2, strict=True):
        if check(format, old, new, "BACKWARD").compatible is not expected:
            raise AssertionError(f"a wrong verdict on {format} makes the figures worthless")
    both = seconds(lambda: [check(format, old, new, "BACKWARD") for old, new in small], repeats=60)
    return {
        "verdicts_per_second": round(2 / both, 1),
        "fields_200_compatible_ms": round(
            1_000 * seconds(lambda: check(format, *large[0], "BACKWARD"), repeats=9), 2
        ),
        "fields_200_incompatible_ms": round(
            1_000 * seconds(lambda: check(format, *large[1], "BACKWARD"), repeats=9), 2
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figures = {format: measure(format) for format in ("fields", "jsonschema", "avro")}  # noqa: A001
    if arguments.json:
        print(json.dumps({"compatibility": figures}))
        return
    for name, entry in figures.items():
        print(f"{name:12}" + "".join(f"{key} {value}  " for key, value in entry.items()))


if __name__ == "__main__":
    main()
