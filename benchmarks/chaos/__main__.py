"""Break every part of a whole DataFold under load, and see what becomes of it: `python -m benchmarks.chaos`.

Exit code 0: every bound holds. 1: one does not. 2: it cannot run here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

# The support of the tests asks for it when it is imported.
os.environ.setdefault("DATAFOLD_TEST_STACK", "postgres")

from benchmarks.chaos import report
from benchmarks.chaos.runner import Run
from tests.edge.nginx import NGINX, WHY_SKIPPED


def main() -> int:
    arguments = _parser().parse_args()
    if NGINX is None:
        print(WHY_SKIPPED, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whatever was started is stopped, too
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="datafold-chaos-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user where this runs as root
    run = Run(folder, arguments.quick, arguments.only, _printer(started), report.line)
    try:
        verdict = run.carry_out()
    finally:
        if arguments.keep:
            print(f"Everything that was written is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{report.summary(verdict)}")
    if arguments.report is not None:
        took = time.monotonic() - started
        arguments.report.write_text(report.markdown(verdict, fallback_from=run.fallback_from, took=took))
        print(f"\nThe report is in {arguments.report}")
    return 0 if verdict.holds else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="the faults that are over soon; about two minutes"
    )
    parser.add_argument("--only", nargs="*", default=[], metavar="PART", help="faults whose names have it")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report in Markdown")
    parser.add_argument("--keep", action="store_true", help="keep logs, records and data")
    return parser


def _printer(started: float) -> report.Say:
    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    return say


if __name__ == "__main__":
    sys.exit(main())
