"""Attack a real gunicorn while honest clients are measured; writes docs/attacks.md.

python -m benchmarks.attacks                   all of them: about six minutes
python -m benchmarks.attacks idle              one of them
python -m benchmarks.attacks --quick           all of them in short; docs/attacks.md is left alone
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.attacks import report
from benchmarks.attacks.catalogue import allow_files, attacks, greedy_client
from benchmarks.attacks.measure import measure
from benchmarks.load.stack import services, stack

# As they are without being set; those of the tests and of the load benchmark are none.
LIMITS = {
    "DATAFOLD_RATE_LIMIT_PER_MINUTE": "6000",
    "DATAFOLD_REGISTRATION_RATE": "60/minute",
    "DATAFOLD_ANONYMOUS_RATE": "600/minute",
    "DATAFOLD_FAILURE_RATE": "120/minute",
}


def main() -> int:
    arguments = parse()
    allow_files(arguments.connections)
    with services() as parts, stack("attacks", parts, **LIMITS, WORKERS="2", THREADS="4") as site:
        known = attacks(
            site.site,
            greedy_client(site),
            connections=arguments.connections,
            wrong_per_minute=arguments.wrong_per_minute,
        )
        if unknown := set(arguments.attacks) - set(known):
            raise SystemExit(f"Unknown: {', '.join(sorted(unknown))}. There are: {', '.join(known)}.")
        trials = [
            measure(
                site,
                name,
                known[name],
                rate=arguments.rate,
                before=arguments.before,
                during=arguments.during,
                connections=arguments.connections,
            )
            for name in arguments.attacks or known
        ]
    report.write(trials, arguments.output, rate=arguments.rate)
    print(f"written to {arguments.output}", file=sys.stderr)
    return 1 if any(trial.failed for trial in trials) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("attacks", nargs="*")
    parser.add_argument("--rate", type=float, default=100.0, help="of honest requests, a second")
    parser.add_argument("--before", type=float, default=8.0, help="seconds")
    parser.add_argument("--during", type=float, default=32.0, help="seconds")
    parser.add_argument("--connections", type=int, default=10_000, help="that are idle")
    parser.add_argument("--wrong-per-minute", type=int, default=100_000)
    parser.add_argument("--output", type=Path, help="instead of docs/attacks.md")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.before, arguments.during = 3.0, 6.0
        arguments.rate = min(arguments.rate, 30.0)
    arguments.output = arguments.output or (report.TRIED if arguments.quick else report.PATH)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
