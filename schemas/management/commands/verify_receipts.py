"""`manage.py verify_receipts`: does every version still have its author's signature?"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from keys.management.base import DataFoldCommand
from schemas.models import Schema, SchemaVersion
from schemas.proof import Proof, prove


class Command(DataFoldCommand):
    help = "Check the receipts of all versions, or of one schema's. Fails if one is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("schema", nargs="?", help="Name of a schema; all of them if left out.")

    def handle(self, *args: Any, **options: Any) -> None:
        versions = SchemaVersion.objects.select_related("schema", "author", "author_key")
        if name := options["schema"]:
            if not Schema.objects.filter(name=name).exists():
                raise CommandError(f"There is no schema {name!r}.")
            versions = versions.filter(schema__name=name)
        counts: Counter[str] = Counter()
        findings: list[dict[str, Any]] = []
        for version in versions.order_by("schema__name", "number").iterator(chunk_size=200):
            proof = prove(version)
            counts[proof.verdict] += 1
            if proof.verdict in ("broken", "suspect"):
                findings.append(_finding(version, proof))
        self._print(counts, findings, as_json=options["as_json"])
        if counts["broken"]:
            raise CommandError(f"{counts['broken']} of {counts.total()} receipts do not hold.")

    def _print(self, counts: Counter[str], findings: list[dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.print_json({"checked": counts.total(), **counts, "findings": findings})
            return
        for finding in findings:
            self.stdout.write(
                f"{finding['verdict'].upper()} {finding['schema']} v{finding['number']}: {finding['why']}"
            )
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
        self.stdout.write(f"{counts.total()} versions: {verdicts or 'none'}.")


def _finding(version: SchemaVersion, proof: Proof) -> dict[str, Any]:
    why = "; ".join(check.message for check in proof.checks if not check.passed)
    if proof.verdict == "suspect" and version.author_key:
        why = f"the key counts as compromised since {version.author_key.compromised_since:%Y-%m-%d %H:%M} UTC"
    return {"schema": version.schema.name, "number": version.number, "verdict": proof.verdict, "why": why}
