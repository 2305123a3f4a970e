"""`manage.py expire_keys`: expire every key whose time is over."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from keys import jobs
from keys.jobs.transitions import overdue
from keys.management.base import DataFoldCommand, key_facts, key_line


class Command(DataFoldCommand):
    help = "Expire every key whose expires_at has passed."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Only say which.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            due = overdue(timezone.now()).select_related("client")
            if options["as_json"]:
                self.print_json([key_facts(key) for key in due.iterator()])
            else:
                for key in due.iterator():
                    self.stdout.write(f"would expire {key_line(key)}")
            return
        counts = jobs.run("expire-keys")
        if options["as_json"]:
            self.print_json(dict(counts))
        else:
            self.stdout.write(f"Expired {counts['expired']} keys.")
