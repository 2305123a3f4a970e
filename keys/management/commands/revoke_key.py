"""`manage.py revoke_key KEY --reason keyCompromise`: a key never counts again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from keys.decisions import Details, Verb
from keys.management.base import KeyCommand, add_actor_argument, parse_moment
from keys.models import TRANSITIONS, KeyStatus, RevocationReason
from project.context import current_context


class Command(KeyCommand):
    help = "Revoke a key for good, from the very next request."
    among = tuple(TRANSITIONS)
    already = KeyStatus.REVOKED

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--reason",
            default="",
            help=f"{', '.join(RevocationReason.values)} (RFC 5280); any other words are kept as the note of an "
            "unspecified reason.",
        )
        parser.add_argument("--note", default="", help="Why, in your own words.")
        parser.add_argument(
            "--compromised-since",
            type=parse_moment,
            metavar="TIME",
            help="What it signed since then is suspect.",
        )
        add_actor_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key"])
        changed = key.status != KeyStatus.REVOKED
        if not changed and options["compromised_since"]:
            raise CommandError(
                f"{key} is revoked already. Say since when it was compromised with: manage.py report_compromise."
            )
        if changed:
            revocation_reason, note = split_reason(options["reason"], options["note"])
            details = Details(
                reason=note,
                revocation_reason=revocation_reason,
                compromised_since=options["compromised_since"],
            )
            key = self.decide(key, Verb.REVOKE, by=options["by"], details=details)
        everybody_knows = not current_context().warnings
        self.print_key(
            key,
            as_json=options["as_json"],
            said=f"Revoked {key} ({key.revocation_reason})"
            + (": refused from the next request on." if everybody_knows else "."),
            changed=changed,
        )


def split_reason(reason: str, note: str) -> tuple[RevocationReason, str]:
    """One of RFC 5280's reasons, however it is spelled, and the words that are none."""
    plain = reason.replace("-", "").replace("_", "").replace(" ", "").casefold()
    for known in RevocationReason:
        if plain == known.value.casefold():
            return known, note
    return RevocationReason.UNSPECIFIED, ": ".join(filter(None, [reason, note]))
