"""`manage.py export_audit_log`: the sealed log as JSON Lines, each event with its proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.proofs import export
from keys.management.base import DataFoldCommand


class Command(DataFoldCommand):
    help = "Write checkpoints and events with their inclusion proofs, one JSON object on each line."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--output", type=Path, metavar="FILE", help="Default: standard output.")
        parser.add_argument("--first", type=int, default=1, metavar="N", help="First checkpoint. Default 1.")
        parser.add_argument("--last", type=int, metavar="N", help="Last checkpoint. Default: the latest.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["output"] is None:
            for line in export(first=options["first"], last=options["last"]):
                self.stdout.write(_line(line))
            return
        partial = options["output"].with_name(options["output"].name + ".partial")
        count, say = 0, self.progress("lines")
        try:
            with partial.open("w", encoding="utf-8") as file:
                for count, line in enumerate(export(first=options["first"], last=options["last"]), start=1):
                    file.write(_line(line) + "\n")
                    say(count)
            partial.replace(options["output"])
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error}") from error
        if options["as_json"]:
            self.print_json({"file": str(options["output"]), "lines": count})
        else:
            self.stdout.write(f"{count} lines in {options['output']}")


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)
