"""`manage.py reset_second_factor USERNAME --reason WHY`: for an operator who lost theirs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.account_help import reset_second_factor
from accounts.models import User
from keys.management.base import DataFoldCommand, actor_for, add_actor_argument


class Command(DataFoldCommand):
    help = (
        "Take authenticator app, passkeys and recovery codes away from an operator, and end every session and token of "
        "the account. The next sign-in takes the password alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username")
        parser.add_argument("--reason", default="", help="Why, and how you know who asked; kept.")
        add_actor_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no operator {options['username']!r}.")
        taken = reset_second_factor(user, actor=actor_for(options["by"]), reason=options["reason"])
        if options["as_json"]:
            self.print_json({"username": user.get_username(), "taken_away": taken})
        else:
            what = f"Took away {', '.join(taken)}" if taken else "There was no second factor"
            self.stdout.write(f"{what}; {user.get_username()} is signed out everywhere.")
