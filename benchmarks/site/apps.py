"""The peers' models live in an app of their own."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "benchmarks.site"
    label = "benchmark_site"
    default_auto_field = "django.db.models.BigAutoField"
