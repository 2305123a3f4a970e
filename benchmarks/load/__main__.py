"""Run the parts of the load benchmark and write them to docs/load.md.

python -m benchmarks.load                      all of it: about half an hour
python -m benchmarks.load rates soak           some of it
python -m benchmarks.load --quick              all of it in short, to see that it runs; docs/load.md is left alone
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.load import growth, processes, rates, report, soak, units
from benchmarks.load.stack import say, services


def main() -> None:
    arguments = parse()
    with services() as parts:
        saturation = arguments.saturation
        if "rates" in arguments.parts:
            series = rates.measure(
                parts,
                seconds=arguments.stage_seconds,
                processes=arguments.processes,
                threads=arguments.threads,
            )
            report.write({"rates": rates.section(series, arguments.stage_seconds)}, arguments.output)
            saturation = saturation or next(
                (each.saturation for each in series if each.processes == arguments.soak_processes), 0.0
            )
        if "soak" in arguments.parts:
            if not saturation:
                raise SystemExit("No rate was sustained; a soak needs one: --saturation.")
            soaked = soak.measure(
                parts,
                saturation=saturation,
                seconds=arguments.soak_seconds,
                processes=arguments.soak_processes,
                threads=arguments.threads,
            )
            report.write({"soak": soak.section(soaked)}, arguments.output)
        if "units" in arguments.parts:
            costs = units.measure(parts, arguments.stage_seconds / 2)
            report.write({"units": units.section(costs)}, arguments.output)
            if arguments.output.resolve() == report.PATH:
                report.fill_in(units.arithmetic(costs), report.SCALING)
        if "processes" in arguments.parts:
            report.write(
                {"processes": processes.measure(parts, arguments.stage_seconds / 2)}, arguments.output
            )
        if "growth" in arguments.parts:
            report.write({"growth": growth.measure(arguments.most, arguments.rounds)}, arguments.output)
    say(f"written to {arguments.output}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="of " + ", ".join(report.ORDER))
    parser.add_argument("--stage-seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--threads", type=int, default=4, help="in each process")
    parser.add_argument("--soak-seconds", type=float, default=600.0)
    parser.add_argument("--soak-processes", type=int, default=2)
    parser.add_argument(
        "--saturation", type=float, default=0.0, help="requests a second, for a soak by itself"
    )
    parser.add_argument("--audit-events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=9, help="of each size in growth")
    parser.add_argument("--output", type=Path, help="instead of docs/load.md")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(report.ORDER):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    arguments.parts = arguments.parts or list(report.ORDER)
    arguments.output = arguments.output or (report.TRIED if arguments.quick else report.PATH)
    arguments.most = growth.Most(audit_events=arguments.audit_events)
    if arguments.quick:
        arguments.stage_seconds, arguments.soak_seconds = 4.0, 40.0
        arguments.rounds = 2
        arguments.most = growth.Most(keys=10_000, schemas=10_000, audit_events=50_000)
    return arguments


if __name__ == "__main__":
    main()
