"""`manage.py createsuperuser`: Django's command, on record."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.db import transaction

from accounts.models import User
from accounts.operators import operator_facts, record_operator
from keys.management.base import actor_for


class Command(createsuperuser.Command):
    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        there = set(User.objects.values_list("pk", flat=True))
        super().handle(*args, **options)
        for user in User.objects.exclude(pk__in=there):
            record_operator(
                user, actor=actor_for(""), action="operator.created", before=None, after=operator_facts(user)
            )
