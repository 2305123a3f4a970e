"""`manage.py allow_password_login USERNAME --reason WHY`: the way in while the identity provider is down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from accounts.account_help import allow_password_login
from accounts.models import User
from keys.management.base import DataFoldCommand, actor_for, add_actor_argument

LONGEST_MINUTES = 24 * 60


class Command(DataFoldCommand):
    help = (
        "Let an operator in by password for some minutes although DATAFOLD_REQUIRE_SSO is on, because the identity "
        "provider is down. A second factor stays due. It is on record."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username")
        parser.add_argument(
            "--minutes", type=int, default=60, help="1 to 1440, by default 60; 0 ends it now."
        )
        parser.add_argument("--reason", default="", help="Kept in the audit log.")
        add_actor_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no operator {options['username']!r}.")
        if not 0 <= options["minutes"] <= LONGEST_MINUTES:
            raise CommandError(f"--minutes is a number from 0 to {LONGEST_MINUTES}.")
        until = timezone.now() + timedelta(minutes=options["minutes"])
        allow_password_login(user, actor=actor_for(options["by"]), until=until, reason=options["reason"])
        if options["as_json"]:
            self.print_json({"username": user.get_username(), "until": until.isoformat()})
        else:
            self.stdout.write(f"{user.get_username()} gets in by password until {until:%Y-%m-%d %H:%M} UTC.")
