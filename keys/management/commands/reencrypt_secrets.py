"""`manage.py reencrypt_secrets`: every stored secret under the first of DATAFOLD_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from keys.management.base import DataFoldCommand
from project.encryption import reencrypt_all


class Command(DataFoldCommand):
    help = "Encrypt every stored secret anew under the first key; then the old keys can be taken away."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Only see whether every secret opens.")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = dict(reencrypt_all(dry_run=options["dry_run"]))
        if options["as_json"]:
            self.print_json(counts)
            return
        verb = "opens" if options["dry_run"] else "re-encrypted"
        for column, count in counts.items():
            self.stdout.write(f"{column}: {count} {verb}")
