"""`manage.py restore FILE`: fill an empty database from a backup."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from project.backup import BackupError, restore


class Command(BaseCommand):
    help = "Fill the empty database that DATABASE_URL names from a backup, and bring it up to this release."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="what `manage.py backup` wrote")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            summary = restore(file)
        except BackupError as error:
            raise CommandError(error.message) from error
        rows = f" ({sum(summary.tables.values())} rows)" if summary.tables else ""
        self.stdout.write(
            f"Restored the database as it was on {summary.made_at:%Y-%m-%d %H:%M:%S} UTC{rows}.\n"
            "What was decided after that is gone: revoke again what was revoked since. Then run: "
            "manage.py verify_audit_log"
        )
