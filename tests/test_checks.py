"""The numbered system checks: one test for each, and none fires on sound settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")

SOUND: dict[str, Any] = {
    "DATAFOLD_DEVELOPMENT": False,
    "DEBUG": False,
    "DATAFOLD_ENABLE_AUTH": True,
    "DATAFOLD_REGISTRATION_POLICY": "approval",
    "DATAFOLD_DEFAULT_PROFILE": "standard",
    "DATAFOLD_PUBLIC_ORIGINS": ["https://datafold.example.com"],
    "ALLOWED_HOSTS": ["datafold.example.com"],
    "DATAFOLD_TRUSTED_PROXIES": ["10.0.0.0/8"],
    "DATAFOLD_METRICS_NETWORKS": ["127.0.0.0/8"],
    "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql"}},
    "REDIS_URL": "redis://redis.example.com",
}
RISKS: list[tuple[str, dict[str, Any]]] = [
    ("E001", {"DATAFOLD_ENABLE_AUTH": False}),
    ("E002", {"DEBUG": True}),
    ("E003", {"DATAFOLD_PUBLIC_ORIGINS": ["datafold.example.com"]}),
    ("E003", {"DATAFOLD_PUBLIC_ORIGINS": ["https://datafold.example.com/api"]}),
    ("E004", {"DATAFOLD_PUBLIC_ORIGINS": [], "ALLOWED_HOSTS": ["*"]}),
    ("E005", {"DATAFOLD_TRUSTED_PROXIES": ["proxy.example.com"]}),
    ("E005", {"DATAFOLD_METRICS_NETWORKS": ["10.0.0.0/99"]}),
    ("E006", {"DATAFOLD_TRUSTED_PROXIES": ["0.0.0.0/0"]}),
    ("E006", {"DATAFOLD_TRUSTED_PROXIES": ["::/0"]}),
    ("E009", {"DATAFOLD_LOGIN_RATE": "30/min"}),
    ("E011", {"DATAFOLD_DEFAULT_SCOPES": ["schemas:read", "schema:write"]}),
    ("W001", {"DATAFOLD_REGISTRATION_POLICY": "open"}),
    ("W002", {"DATAFOLD_DEFAULT_PROFILE": "lenient"}),
    ("W003", {"DATAFOLD_PUBLIC_ORIGINS": ["http://datafold.example.com"]}),
    ("W004", {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}}),
    ("W005", {"REDIS_URL": ""}),
    ("W008", {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}),
]


def fired(**settings: Any) -> dict[str, str]:
    """The ids of our checks that fire under these settings, with their hints."""
    with override_settings(**{**SOUND, **settings}):
        found = run_checks(include_deployment_checks=True)
    return {
        str(message.id): message.hint or "" for message in found if str(message.id).startswith("datafold.")
    }


def test_sound_settings_pass() -> None:
    assert not set(fired()) & {f"datafold.{number}" for number, _ in RISKS}


@pytest.mark.parametrize(("number", "settings"), RISKS)
def test_a_risky_combination_is_told(number: str, settings: dict[str, Any]) -> None:
    assert f"datafold.{number}" in fired(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"DATAFOLD_ENABLE_AUTH": False},
        {"DEBUG": True},
        {"DATAFOLD_REGISTRATION_POLICY": "open"},
        {"DATAFOLD_DEFAULT_PROFILE": "lenient"},
        {"REDIS_URL": ""},
    ],
)
def test_development_may_do_what_production_may_not(settings: dict[str, Any]) -> None:
    assert not fired(DATAFOLD_DEVELOPMENT=True, **settings)
