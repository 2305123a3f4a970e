"""`manage.py rotate_server_key`: the server signs with a new key from now on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from keys import server_keys
from keys.management.base import DataFoldCommand, actor_for, add_actor_argument


class Command(DataFoldCommand):
    help = "Make a new server key. The old one stays published until nothing it signed is fresh."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--reason", default="", help="Why; kept in the audit log.")
        parser.add_argument(
            "--compromised",
            action="store_true",
            help="Unpublish the old key and destroy its private half at once.",
        )
        add_actor_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        new = server_keys.rotate(
            actor=actor_for(options["by"]), reason=options["reason"], compromised=options["compromised"]
        )
        published = server_keys.published()
        if options["as_json"]:
            keys = [
                {"thumbprint": key.thumbprint, "active": key.active, "published_until": key.published_until}
                for key in published
            ]
            self.print_json({"active": new.thumbprint, "published": keys})
            return
        self.stdout.write(f"The server signs with {new.thumbprint} from now on.")
        for key in published:
            if not key.active:
                self.stdout.write(
                    f"{key.thumbprint} stays published until {key.published_until:%Y-%m-%d %H:%M} UTC."
                )
