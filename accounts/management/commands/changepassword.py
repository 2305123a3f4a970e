"""`manage.py changepassword USERNAME`: Django's command, on record."""

from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.db import transaction

from accounts.models import User
from accounts.operators import record_operator
from keys.management.base import actor_for


class Command(changepassword.Command):
    help = "Set an operator's password. Every session and token of the account ends."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> str | None:
        answer = super().handle(*args, **options)
        user = User.objects.get(username=options["username"] or getpass.getuser())
        record_operator(
            user, actor=actor_for(""), action="operator.password_changed", before=None, after=None
        )
        return answer
