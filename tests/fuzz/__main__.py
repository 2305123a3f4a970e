"""Fuzz the engine for a while: ``python -m tests.fuzz [--seconds N] [target …]``.

What was found once is kept as a corpus and built on by the next run; a text that breaks a target is kept
beside it, and ``python -m tests.fuzz --replay FILE target`` shows how.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.seeds import SEEDS, dictionary
from tests.fuzz.targets import TARGETS

MAX_BYTES = 2048


def main() -> int:
    arguments = _arguments()
    if arguments.replay:
        for name in arguments.targets:
            TARGETS[name](arguments.replay.read_bytes().decode("latin-1"))
        return 0
    seconds = max(1, arguments.seconds // len(arguments.targets))
    broken = [name for name in arguments.targets if not _fuzz(name, seconds, arguments.folder)]
    if broken:
        print(f"\nBroken: {', '.join(broken)}; what did it lies in {arguments.folder}", file=sys.stderr)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the engine for a while.")
    parser.add_argument(
        "targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all by default"
    )
    parser.add_argument("--seconds", type=int, default=120, help="for all targets together")
    parser.add_argument("--folder", type=Path, default=Path(".data/fuzz"), help="for the corpus and findings")
    parser.add_argument("--replay", type=Path, help="a text that broke the target")
    arguments = parser.parse_args()
    arguments.targets = arguments.targets or ([] if arguments.replay else list(TARGETS))
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if arguments.replay and not arguments.targets:
        parser.error("--replay needs the target that it broke")
    return arguments


def _fuzz(name: str, seconds: int, folder: Path) -> bool:
    """Whether `seconds` of fuzzing find nothing. In a process of its own, since libFuzzer ends it."""
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed.encode("latin-1"))
    words = folder / "words.dict"
    words.write_text(dictionary())
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-dict={words}",
        f"-artifact_prefix={folder}/broke-{name}-",
        "-timeout=10",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    print(f"{name}: {seconds} s … ", end="", flush=True)
    command = [sys.executable, "-m", "tests.fuzz.target", name, *options, str(corpus)]
    run = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", errors="replace")
    if run.returncode:
        print(f"\n{run.stdout}{run.stderr}", flush=True)
        return False
    statistics = dict(re.findall(r"stat::(\w+):\s+(\d+)", run.stderr))
    print(f"{statistics['number_of_executed_units']} texts, {statistics['new_units_added']} of them new ways")
    return True


if __name__ == "__main__":
    sys.exit(main())
