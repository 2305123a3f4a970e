"""`manage.py reject_key KEY`: a pending key is refused for good."""

from __future__ import annotations

from typing import Any

from keys.decisions import Details, Verb
from keys.management.base import DecisionCommand
from keys.models import KeyStatus


class Command(DecisionCommand):
    help = "Reject a pending key. It cannot be registered again."
    reason_readers = "kept in the audit log, and shown to the client"
    among = (KeyStatus.PENDING,)
    already = KeyStatus.REJECTED

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key"])
        changed = key.status != KeyStatus.REJECTED
        if changed:
            key = self.decide(key, Verb.REJECT, by=options["by"], details=Details(reason=options["reason"]))
        self.print_key(key, as_json=options["as_json"], said=f"Rejected {key}.", changed=changed)
