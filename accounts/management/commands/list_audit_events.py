"""`manage.py list_audit_events --by USERNAME --since DATE`: what was done, by whom, to what."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet

from accounts.models import AuditEvent, User
from keys.management.base import DataFoldCommand, parse_moment

Kind = AuditEvent.ActorKind
FACTS = (
    "id",
    "created_at",
    "actor_kind",
    "actor_label",
    "action",
    "target_kind",
    "target_id",
    "target_label",
)
MORE_FACTS = ("before", "after", "reason", "address", "request_id")


class Command(DataFoldCommand):
    help = "List audit events, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        actor = parser.add_mutually_exclusive_group()
        actor.add_argument("--by", metavar="USERNAME", help="Only what this operator did.")
        actor.add_argument("--client", metavar="CLIENT_ID", help="Only what this client did.")
        parser.add_argument("--action", metavar="NAME", help="Only these, e.g. key.approved.")
        parser.add_argument("--since", type=parse_moment, metavar="TIME", help="Only from then on.")
        parser.add_argument("--until", type=parse_moment, metavar="TIME", help="Only before.")
        parser.add_argument(
            "--limit", type=int, default=100, help="At most so many; 0 means all. Default 100."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        events = self._chosen(options)
        rows = events.values(*FACTS, *MORE_FACTS)[: options["limit"] or None]
        if options["as_json"]:
            self.print_json(list(rows))
            return
        for row in rows.iterator():
            why = f": {row['reason']}" if row["reason"] else ""
            self.stdout.write(
                f"{row['created_at']:%Y-%m-%d %H:%M:%S}  {row['action']:<26} {row['target_label'] or '-'} by "
                f"{row['actor_label'] or row['actor_kind']}{' from ' + row['address'] if row['address'] else ''}{why}"
            )

    def _chosen(self, options: dict[str, Any]) -> QuerySet[AuditEvent]:
        events = AuditEvent.objects.order_by("-id")
        if options["by"]:
            user = User.objects.filter(username=options["by"]).first()
            if user is None:
                raise CommandError(f"There is no operator {options['by']!r}.")
            events = events.filter(actor_kind=Kind.OPERATOR, actor_id=str(user.pk))
        if options["client"]:
            events = events.filter(actor_kind=Kind.CLIENT, actor_id=options["client"])
        if options["action"]:
            events = events.filter(action=options["action"])
        if options["since"]:
            events = events.filter(created_at__gte=options["since"])
        if options["until"]:
            events = events.filter(created_at__lt=options["until"])
        return events
