"""`manage.py approve_key KEY`: a pending key becomes active."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from accounts.models import Profile
from keys.decisions import Details, Verb
from keys.management.base import DecisionCommand, parse_moment
from keys.models import KeyStatus


class Command(DecisionCommand):
    help = "Approve a pending key, named by client_id, registration_id or the beginning of its thumbprint."
    among = (KeyStatus.PENDING,)
    already = KeyStatus.ACTIVE

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--expires", type=parse_moment, metavar="DATE", help="Default: the server's key lifetime."
        )
        parser.add_argument(
            "--scope", action="append", dest="scopes", help="Give exactly these scopes; repeatable."
        )
        parser.add_argument("--profile", choices=Profile.values)

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key"])
        changed = key.status != KeyStatus.ACTIVE
        said = ""
        if changed:
            details = Details(
                reason=options["reason"],
                expires_at=options["expires"],
                scopes=options["scopes"],
                profile=options["profile"],
            )
            key = self.decide(key, Verb.APPROVE, by=options["by"], details=details)
            said = (
                f"Approved {key}: active until {key.expires_at:%Y-%m-%d}."
                if key.status == KeyStatus.ACTIVE and key.expires_at
                else f"Approval recorded: {key} stays pending until another operator approves it too (--by)."
            )
        self.print_key(key, as_json=options["as_json"], said=said, changed=changed)
