"""App configuration of `accounts`."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.authentication import events  # noqa: F401  records logins
        from accounts.authentication.console import hide_allauth

        hide_allauth()
