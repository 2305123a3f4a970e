"""What the operators' documents name exists."""

from __future__ import annotations

import re

import pytest

from tests.support.stack import PROJECT, server_variables

SECURITY = (PROJECT / "docs/security.md").read_text()
OPERATING = (PROJECT / "docs/operating.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:[a-z0-9_]+/)+(?:test_\w+\.py)?|test_\w+\.py)`", SECURITY)))


@pytest.mark.parametrize("path", NAMED)
def test_every_test_that_security_names_exists(path: str) -> None:
    assert (PROJECT / "tests" / path).exists() or (PROJECT / path).exists()


def test_there_are_enough_of_them() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize("text", [SECURITY, OPERATING], ids=["security", "operating"])
def test_every_setting_exists(text: str) -> None:
    compose = {"DATAFOLD_HOST", "DATAFOLD_HTTPS_PORT", "DATAFOLD_HTTP_PORT", "DATAFOLD_WORKERS"}
    named = set(re.findall(r"`((?:DATAFOLD|DATABASE|OTEL|SENTRY)_\w+)(?:=[^`]*)?`", text))
    assert named - server_variables() - compose == set()


def test_every_command_exists() -> None:
    from django.core.management import get_commands

    named = set(re.findall(r"manage\.py (\w+)", OPERATING))
    assert named <= set(get_commands())


def test_every_alert_is_explained() -> None:
    alerts = re.findall(r"alert: (\w+)", (PROJECT / "deploy/prometheus/alerts.yml").read_text())
    assert [alert for alert in alerts if alert not in OPERATING and alert != "DataFoldApprovalsWait"] == []
