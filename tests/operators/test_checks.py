"""The system checks on how operators get in."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

CASES: list[tuple[str, dict[str, Any]]] = [
    ("datafold.W020", {"DATAFOLD_REQUIRE_MFA": False, "DATAFOLD_DEVELOPMENT": False}),
    ("datafold.E020", {"DATAFOLD_OIDC_ISSUER": "http://id.example.com", "DATAFOLD_DEVELOPMENT": False}),
    ("datafold.E021", {"DATAFOLD_OIDC_ISSUER": "https://id.example.com", "DATAFOLD_OIDC_CLIENT_ID": ""}),
    ("datafold.E023", {"DATAFOLD_FOUR_EYES": True, "DATAFOLD_REGISTRATION_POLICY": "open"}),
    ("datafold.E024", {"DATAFOLD_REQUIRE_SSO": True, "DATAFOLD_OIDC_ISSUER": ""}),
    ("datafold.E022", {"DATAFOLD_OIDC_ROLE_MAP": {"ops": "root"}}),
]


@pytest.mark.parametrize(("check", "values"), CASES, ids=[check for check, _ in CASES])
def test_risky_settings_are_told(settings: Any, check: str, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(settings, name, value)
    assert check in [message.id for message in run_checks(tags=["security"])]


def test_sound_settings_pass(settings: Any) -> None:
    settings.DATAFOLD_DEVELOPMENT = False
    settings.DATAFOLD_REQUIRE_MFA = True
    settings.DATAFOLD_REQUIRE_SSO = True
    settings.DATAFOLD_OIDC_ISSUER = "https://id.example.com"
    settings.DATAFOLD_OIDC_CLIENT_ID = "datafold"
    settings.DATAFOLD_OIDC_ROLE_MAP = {"ops": "admin"}
    ids = [message.id or "" for message in run_checks(tags=["security"])]
    assert not [one for one in ids if one.startswith(("datafold.W02", "datafold.E02"))]
