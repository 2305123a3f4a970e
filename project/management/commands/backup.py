"""`manage.py backup FILE`: the database in one file, while the server runs."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from project.backup import BackupError, back_up


class Command(BaseCommand):
    help = "Write the whole database into one new file. It holds everything: keep it as safe as the database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="a new file, such as /backup/datafold-2030-01-31.tar.gz")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            summary = back_up(file)
        except BackupError as error:
            raise CommandError(error.message) from error
        rows = (
            f", {sum(summary.tables.values())} rows of {len(summary.tables)} tables" if summary.tables else ""
        )
        self.stdout.write(f"Wrote {file}: {file.stat().st_size} bytes{rows}.")
