#!/usr/bin/env python
"""Django's command-line utility for DataFold."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    from django.core.management import execute_from_command_line
    from environs.exceptions import EnvError

    try:
        execute_from_command_line(sys.argv)
    except EnvError as error:
        sys.exit(
            f"{error}\nSettings come from the environment or a .env file; .env.example names every one. "
            'Beside `make run`: make manage CMD="…"'
        )


if __name__ == "__main__":
    main()
