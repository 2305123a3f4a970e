"""`manage.py show_key KEY`: everything about one key."""

from __future__ import annotations

from typing import Any

from accounts.models import AuditEvent
from keys.impact import suspects_of
from keys.management.base import KeyCommand, key_facts

RECENT = 10


class Command(KeyCommand):
    help = (
        "Show a key with its public half, what happened to it, and what it signed since it was compromised."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key"])
        facts = key_facts(key)
        events = AuditEvent.objects.filter(target_kind="key", target_id=str(key.pk)).order_by("-id")[:RECENT]
        suspects = suspects_of(key, since=key.compromised_since) if key.compromised_since else None
        suspect = [
            *(f"version {version}" for version in (suspects.versions if suspects else [])),
            *(f"{event.action} {event.target_label}" for event in (suspects.events if suspects else [])),
        ]
        if options["as_json"]:
            history = [
                {
                    "at": event.created_at,
                    "action": event.action,
                    "by": event.actor_label,
                    "reason": event.reason,
                }
                for event in events
            ]
            self.print_json(
                {**facts, "public_key_pem": key.verifier.pem(), "history": history, "suspect": suspect}
            )
            return
        for name, value in facts.items():
            if value not in (None, ""):
                self.stdout.write(f"{name:18} {value}")
        self.stdout.write("\n" + key.verifier.pem())
        for event in events:
            why = f": {event.reason}" if event.reason else ""
            self.stdout.write(
                f"{event.created_at:%Y-%m-%d %H:%M:%S}  {event.action} by {event.actor_label}{why}"
            )
        for line in suspect:
            self.stdout.write(f"suspect: {line}")
