"""`manage.py list_keys`: keys, newest first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from keys.management.base import DataFoldCommand, key_facts, key_line
from keys.models import TRANSITIONS, Key, KeyStatus


class Command(DataFoldCommand):
    help = "List keys, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--status", action="append", choices=KeyStatus.values, help="Only these; repeatable."
        )
        parser.add_argument("--client", metavar="CLIENT_ID", help="Only this client's.")
        parser.add_argument(
            "--expiring", type=int, metavar="DAYS", help="Only those that end within so many days."
        )
        parser.add_argument(
            "--limit", type=int, default=100, help="At most so many; 0 means all. Default 100."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        keys = Key.objects.select_related("client").order_by("-registered_at")
        if options["status"]:
            keys = keys.filter(status__in=options["status"])
        if options["client"]:
            keys = keys.filter(client__client_id=options["client"])
        if options["expiring"] is not None:
            end = timezone.now() + timedelta(days=options["expiring"])
            keys = keys.filter(status__in=list(TRANSITIONS), expires_at__lte=end)
        if options["limit"]:
            keys = keys[: options["limit"]]
        if options["as_json"]:
            self.print_json([key_facts(key) for key in keys.iterator()])
            return
        shown = 0
        for key in keys.iterator():
            self.stdout.write(key_line(key))
            shown += 1
        self.stderr.write(
            f"{shown} keys" + (" (there may be more: --limit)" if shown == options["limit"] else "")
        )
