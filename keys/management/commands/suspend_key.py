"""`manage.py suspend_key KEY`: an active key stops verifying until it is reactivated."""

from __future__ import annotations

from typing import Any

from keys.decisions import Details, Verb
from keys.management.base import DecisionCommand
from keys.models import KeyStatus


class Command(DecisionCommand):
    help = "Suspend an active key. reactivate_key undoes it."
    reason_readers = "kept in the audit log, and shown to the client"
    among = (KeyStatus.ACTIVE,)
    already = KeyStatus.SUSPENDED

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key"])
        changed = key.status != KeyStatus.SUSPENDED
        if changed:
            key = self.decide(key, Verb.SUSPEND, by=options["by"], details=Details(reason=options["reason"]))
        self.print_key(key, as_json=options["as_json"], said=f"Suspended {key}.", changed=changed)
