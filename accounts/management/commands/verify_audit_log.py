"""`manage.py verify_audit_log [--checkpoint FILE]`: find what was changed in the audit log."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.audit_check import Report, document_problem, verify_log
from keys.management.base import DataFoldCommand
from keys.server_keys import vouched_for


class Command(DataFoldCommand):
    help = "Verify every event, seal and checkpoint. Exit code 0: intact; 1: not, and what."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--checkpoint",
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="A checkpoint kept elsewhere (JSON, as GET audit/checkpoints/latest gives it); repeatable.",
        )
        parser.add_argument(
            "--trust", action="append", metavar="THUMBPRINT", help="Trust only these server keys; repeatable."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        kept = [_read(path) for path in options["checkpoint"]]
        trusted = options["trust"]
        started = time.monotonic()
        report = verify_log(
            vouched_for=vouched_for if trusted is None else trusted.__contains__,
            kept=kept,
            progress=self.progress("events"),
        )
        seconds = time.monotonic() - started
        if options["as_json"]:
            self.print_json({**asdict(report), "intact": report.intact, "seconds": round(seconds, 3)})
        else:
            self._print(report, seconds)
        if not report.intact:
            raise CommandError(
                f"The audit log is NOT intact: {len(report.findings) + report.more_findings} findings."
            )

    def _print(self, report: Report, seconds: float) -> None:
        for finding in report.findings:
            self.stdout.write(f"{finding.kind:10} {finding.message}")
        if report.more_findings:
            self.stdout.write(f"… and {report.more_findings} more")
        rate = f", {report.events / seconds:,.0f} a second" if seconds > 1 else ""
        self.stdout.write(
            f"{report.events:,} sealed events under {report.checkpoints:,} checkpoints in {seconds:.1f} s{rate}; "
            f"{report.unsealed:,} not sealed yet."
        )
        if report.intact:
            self.stdout.write("The audit log is intact.")


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if isinstance(document, dict) and "type" not in document:
        document = (
            document.get("data") or document.get("checkpoint") or document
        )  # as the API or the export wraps it
    if problem := document_problem(document):
        raise CommandError(f"{path}: {problem}")
    return dict(document)
