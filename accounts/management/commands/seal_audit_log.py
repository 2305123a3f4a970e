"""`manage.py seal_audit_log`: put every event that is not sealed yet under a signed checkpoint."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.sealing import seal_events, unsealed
from keys.management.base import DataFoldCommand
from keys.server_keys import current_signer


class Command(DataFoldCommand):
    help = "Seal the audit log now. Looks at the whole log; the job only behind its last checkpoint."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Only count what is not sealed.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            counts = {"checkpoints": 0, "events": unsealed().count()}
        else:
            counts = dict(
                seal_events(
                    signer=current_signer(),
                    now=timezone.now(),
                    everything=True,
                    progress=self.progress("events"),
                )
            )
        if options["as_json"]:
            self.print_json(counts)
        elif options["dry_run"]:
            self.stdout.write(f"{counts['events']} events are not sealed.")
        else:
            self.stdout.write(f"Sealed {counts['events']} events; new checkpoints: {counts['checkpoints']}.")
