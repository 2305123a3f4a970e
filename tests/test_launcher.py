"""What `make run` makes of settings that its tour cannot be played under. The rest: tests/e2e/test_make_run.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connections

from project import launcher
from project.tour import Tour


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("DATAFOLD_FOUR_EYES", True, "DATAFOLD_FOUR_EYES"),
        ("DATAFOLD_DEFAULT_SCOPES", ["schemas:read"], "schemas:write"),
        ("DATAFOLD_REGISTRATION_POLICY", "invite", "registration by approval"),
        ("DATAFOLD_PUBLIC_ORIGINS", ["https://datafold.example.com"], "plain http"),
    ],
)
def test_a_tour_that_cannot_be_played_is_left_out(settings: Any, setting: str, value: Any, told: str) -> None:
    settings.SECURE_SSL_REDIRECT = False
    assert launcher.why_no_tour("127.0.0.1") == ""
    setattr(settings, setting, value)
    assert told in launcher.why_no_tour("127.0.0.1")


def test_a_tour_that_fails_leaves_the_server_alone(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Tour) -> None:
        raise CommandError("The key cannot be approved.")

    settings.SECURE_SSL_REDIRECT = False
    monkeypatch.setattr(Tour, "play", fail)
    monkeypatch.setattr(connections, "close_all", lambda: None)
    launcher.play_tour(SimpleNamespace(host="127.0.0.1", url="http://127.0.0.1:1"))  # type: ignore[arg-type]
    assert "The tour ends here: The key cannot be approved." in capsys.readouterr().out
