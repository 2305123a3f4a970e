"""`manage.py reactivate_key KEY --reason WHY`: a suspended key verifies again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from keys.decisions import Details, Verb
from keys.management.base import DecisionCommand
from keys.models import KeyStatus


class Command(DecisionCommand):
    help = "Let a suspended key verify again. Needs a reason: somebody cut it off for one."
    among = (KeyStatus.SUSPENDED,)
    already = KeyStatus.ACTIVE

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key"])
        changed = key.status != KeyStatus.ACTIVE
        if changed:
            if not options["reason"].strip():
                raise CommandError("Say why with --reason: the key was suspended for a reason.")
            key = self.decide(
                key, Verb.REACTIVATE, by=options["by"], details=Details(reason=options["reason"])
            )
        self.print_key(key, as_json=options["as_json"], said=f"Reactivated {key}.", changed=changed)
