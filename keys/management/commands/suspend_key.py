"""`manage.py suspend_key KEY`: an active key stops verifying until it is reactivated."""

from __future__ import annotations

from typing import Any

from keys import lifecycle
from keys.management.base import DecisionCommand, actor_for
from keys.models import KeyStatus


class Command(DecisionCommand):
    help = "Suspend an active key. reactivate_key undoes it."
    among = (KeyStatus.ACTIVE,)
    already = KeyStatus.SUSPENDED

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key"])
        changed = key.status != KeyStatus.SUSPENDED
        if changed:
            lifecycle.suspend(key, actor=actor_for(options["by"]), reason=options["reason"])
        self.print_key(key, as_json=options["as_json"], said=f"Suspended {key}.", changed=changed)
