"""What the operators' documents name exists."""

from __future__ import annotations

import re

import pytest

from tests.support.stack import PROJECT, server_variables

SECURITY = (PROJECT / "docs/security.md").read_text()
OPERATING = (PROJECT / "docs/operating.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:[a-z0-9_]+/)*test_\w+\.py)(?:::(\w+))?`", SECURITY)))
ROW = re.compile(r"^\| (?:[78]\.\d|API\d|V\d).*$", re.M)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_that_security_names_exists(path: str, name: str) -> None:
    source = (PROJECT / "tests" / path).read_text()
    assert not name or re.search(rf"^ *(async )?def {name}\(", source, re.M)


def test_every_threat_has_a_test() -> None:
    rows = ROW.findall(SECURITY)
    assert len(rows) == 30 + 10 + 16
    assert [row for row in rows if not re.search(r"`(\w+/)*test_\w+\.py(::\w+)?`", row)] == []


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
