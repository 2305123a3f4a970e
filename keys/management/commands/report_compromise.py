"""`manage.py report_compromise KEY --since TIME --reason WHY`: what a key that verifies no more signed is suspect."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from keys.decisions import Details, Verb
from keys.impact import suspects_of
from keys.management.base import KeyCommand, add_actor_argument, parse_moment
from keys.models import USED_UP


class Command(KeyCommand):
    help = "Report as compromised a key that is retired, expired or revoked; one that still verifies: revoke_key."
    among = tuple(USED_UP)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--since",
            type=parse_moment,
            required=True,
            metavar="TIME",
            help="What it signed since then is suspect. Reporting again moves it.",
        )
        parser.add_argument("--reason", default="", help="Why, in your own words; kept in the audit log.")
        add_actor_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["reason"].strip():
            raise CommandError("Say why with --reason: it is kept in the audit log.")
        key = self.find(options["key"])
        details = Details(reason=options["reason"], compromised_since=options["since"])
        key = self.decide(key, Verb.REPORT_COMPROMISE, by=options["by"], details=details)
        found = suspects_of(key, since=options["since"])
        self.print_key(
            key,
            as_json=options["as_json"],
            said=f"{key} counts as compromised since {options['since']:%Y-%m-%d %H:%M} UTC: {len(found.versions)} "
            f"schema versions and {len(found.events)} recorded acts are suspect{' (or more)' if found.more else ''}. "
            "See manage.py show_key.",
        )
