"""`manage.py rotate_key`: ask clients to rotate their keys by a date."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from keys import rotation_requests
from keys.errors import KeyStateConflict
from keys.management.base import DataFoldCommand, actor_for, add_actor_argument, key_line, parse_moment
from keys.models import Key, KeyStatus
from keys.naming import find_key


class Command(DataFoldCommand):
    help = "Ask for a rotation: the client is warned in every answer and its contact by mail."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "key", nargs="?", help="client_id, registration_id, or the beginning of a thumbprint."
        )
        parser.add_argument("--all", action="store_true", dest="every", help="Every active key.")
        parser.add_argument(
            "--older-than", type=parse_age, metavar="90d", help="Active keys registered before that."
        )
        parser.add_argument(
            "--due", type=parse_moment, metavar="DATE", help="Rotate by then. Default: in 14 days."
        )
        parser.add_argument("--reason", default="", help="Why; kept in the audit log.")
        parser.add_argument("--dry-run", action="store_true", help="Only say which.")
        add_actor_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        due = options["due"] or timezone.now() + timedelta(days=14)
        if due <= timezone.now():
            raise CommandError("--due lies in the past. Give a date that the clients can keep.")
        keys, actor = self._chosen(options), actor_for(options["by"])
        done, changed, say = [], [], self.progress("keys")
        for count, key in enumerate(keys.select_related("client").iterator(chunk_size=500), start=1):
            try:
                asked = options["dry_run"] or rotation_requests.request(
                    key, actor=actor, rotate_by=due, reason=options["reason"]
                )
            except KeyStateConflict:
                if options["key"]:
                    raise
                changed.append(str(key.pk))  # since it was listed: it is not active, or was asked just now
                asked = False
            if asked:
                done.append(str(key.pk))
                if not options["as_json"] and (options["dry_run"] or options["verbosity"] > 1):
                    self.stdout.write(f"{'would ask' if options['dry_run'] else 'asked'} {key_line(key)}")
            say(count)
        if options["as_json"]:
            self.print_json(
                {"due": due, "dry_run": options["dry_run"], "requested": done, "skipped": changed}
            )
        else:
            verb = "Would ask" if options["dry_run"] else "Asked"
            self.stdout.write(f"{verb} for the rotation of {len(done)} keys by {due:%Y-%m-%d}.")
            if changed:
                self.stdout.write(
                    f"Skipped {len(changed)} that changed meanwhile. Run it again for those still due."
                )

    def _chosen(self, options: dict[str, Any]) -> QuerySet[Key]:
        chosen = [bool(options["key"]), options["every"], options["older_than"] is not None]
        if sum(chosen) != 1:
            raise CommandError("Name one key, or say --all, or --older-than 90d.")
        active = Key.objects.filter(status=KeyStatus.ACTIVE).order_by("registered_at")
        if options["key"]:
            return Key.objects.filter(pk=find_key(options["key"], among=(KeyStatus.ACTIVE,)).pk)
        if options["every"]:
            return active
        return active.filter(registered_at__lt=timezone.now() - options["older_than"])


def parse_age(text: str) -> timedelta:
    """An argparse type: "90d", "12w", "36h"."""
    match = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if match is None:
        raise CommandError(f"{text!r} is not an age. Write it as 90d, 12w or 36h.")
    return timedelta(**{{"h": "hours", "d": "days", "w": "weeks"}[match[2]]: int(match[1])})
