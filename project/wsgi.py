"""WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = get_wsgi_application()

from project import telemetry  # noqa: E402  the settings are known from here on
from project.db.timeouts import limit_statements  # noqa: E402

limit_statements()
telemetry.configure()
