"""``python -m tests.vectors [FOLDER]``: runs every vector file that is found, a line for each.

FOLDER, else ``$DATAFOLD_VECTORS``, else ``../shared/vectors`` beside the project. Failures go to
standard error; the exit status is 1 if a file falls short, 2 if there is nothing to run.
"""

import json
import sys
from pathlib import Path

from tests.vectors import default_folder, runners
from tests.vectors.result import Result


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else default_folder()
    results = {}
    for name, run in runners().items():
        path = folder / name
        if path.is_file():
            results[name] = run(json.loads(path.read_text(encoding="utf-8")))
            _report(name, results[name])
    if not results:
        print(f"no vector files in {folder}", file=sys.stderr)
        return 2
    return 0 if all(result.complete for result in results.values()) else 1


def _report(name: str, result: Result) -> None:
    print(f"{name} {result.passed}/{result.total}", flush=True)
    for failure in result.failures:
        print(f"  {name}: {failure}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
