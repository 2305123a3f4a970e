"""App configuration of the project itself: system checks, and the admin site."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class ProjectConfig(AppConfig):
    name = "project"
    verbose_name = "DataFold"

    def ready(self) -> None:
        from project import checks  # noqa: F401  registers the numbered checks


class AdminConfig(DjangoAdminConfig):
    """The admin site with DataFold's index, and without the pages that allauth brings."""

    default_site = "project.admin_site.DataFoldAdminSite"

    def ready(self) -> None:
        super().ready()
        from accounts.authentication.console import hide_allauth

        hide_allauth()
