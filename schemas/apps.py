"""App configuration of `schemas`."""

from __future__ import annotations

from django.apps import AppConfig


class SchemasConfig(AppConfig):
    name = "schemas"
