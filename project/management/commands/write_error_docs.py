"""Write docs/errors.md from the catalogue of error codes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from project.api.catalogue import error_docs


class Command(BaseCommand):
    help = "Write docs/errors.md from the catalogue of error codes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Only say whether the file is up to date.")

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "errors.md"
        text = error_docs()
        if options["check"]:
            if not path.exists() or path.read_text() != text:
                raise CommandError("docs/errors.md is not up to date: run `manage.py write_error_docs`.")
            self.stdout.write("docs/errors.md is up to date")
            return
        path.write_text(text)
        self.stdout.write(f"wrote {path.relative_to(settings.BASE_DIR)}")
