"""`bootstrap`: what a new installation needs before anybody can sign in."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.bootstrap import ensure_operator
from project.errors import DomainError


class Command(BaseCommand):
    help = "Create the operator account `admin` with a random password, if there is no operator yet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--demo",
            action="store_true",
            help="also register example clients and print their private keys (development mode only)",
        )

    def handle(self, *args: Any, demo: bool = False, **options: Any) -> None:
        operator = ensure_operator()
        self.stdout.write(str(operator) if operator else "There is an operator already; nothing to do.")
        if demo:
            self._demo()

    def _demo(self) -> None:
        if not settings.DATAFOLD_DEVELOPMENT:
            raise CommandError(
                "Example data is for development: set DATAFOLD_DEVELOPMENT=true to ask for it."
            )
        from project.demo import create_demo

        try:
            lines = create_demo()
        except DomainError as error:
            raise CommandError(f"No example was registered. {error.message}") from error
        for line in lines:
            self.stdout.write(line)
