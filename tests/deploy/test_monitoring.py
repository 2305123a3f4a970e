"""Dashboard and alerts use only metrics, labels and label values that the server really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from keys.models import KeyStatus
from project.api.catalogue import CATALOGUE
from project.metrics import hot
from project.metrics.state import families
from tests.support.stack import PROJECT

DASHBOARD = PROJECT / "deploy/grafana/datafold.json"
ALERTS = PROJECT / "deploy/prometheus/alerts.yml"
STATE = {
    "database": {"status": "healthy", "keys": {}, "seal_lag": 0.0, "jobs": []},
    "queue": {"status": "healthy", "depth": 0, "oldest": 0.0},
}
FOREIGN = {"up": {"job", "instance"}}
SELECTOR = re.compile(r"\b(datafold_\w+|up)\b\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")


def series() -> dict[str, set[str]]:
    """Every series that `/metrics` can show, with its labels."""
    found = dict(FOREIGN)
    for metric in vars(hot).values():
        if isinstance(metric, MetricWrapperBase):
            labels = set(metric._labelnames)
            if isinstance(metric, Histogram):
                found |= {metric._name + "_bucket": labels | {"le"}}
                found |= {metric._name + suffix: labels for suffix in ("_sum", "_count")}
            elif isinstance(metric, Counter):
                found[metric._name + "_total"] = labels
            elif isinstance(metric, Gauge):
                found[metric._name] = labels
    for family in families(STATE):
        found[family.name] = set(family._labelnames)
    return found


def test_no_label_is_one_that_prometheus_gives() -> None:
    """It would be stored as `exported_job`, and ask for `job` in vain."""
    own = [labels for name, labels in series().items() if name not in FOREIGN]
    assert not {"job", "instance"} & set().union(*own)


def test_what_panels_and_alerts_write_out_is_there() -> None:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            check_labels(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")), target["expr"])
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            texts = " ".join(rule["annotations"].values())
            check_labels(re.findall(r"\$labels\.(\w+)", texts), rule["expr"])


def check_labels(labels: list[str], expression: str) -> None:
    names = [name for name, _ in SELECTOR.findall(expression)]
    assert set(labels) <= set().union(*(series()[name] for name in names)), expression


def test_a_job_that_never_ran_is_noticed() -> None:
    assert "absent(datafold_job_last_started_timestamp_seconds" in ALERTS.read_text()


def expressions() -> Iterator[tuple[str, str]]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_only_metrics_that_exist(where: str, expression: str) -> None:
    known = series()
    used = SELECTOR.findall(expression)
    assert used, where
    for name, matchers in used:
        assert name in known, f"{where}: {name}"
        for label, _, value in MATCHER.findall(matchers):
            assert label in known[name], f"{where}: {name}{{{label}}}"
            check_value(label, value)
    labels = set().union(*(known[name] for name, _ in used))
    for group in GROUPING.findall(expression):
        assert {label.strip() for label in group.split(",")} <= labels, where


def check_value(label: str, value: str) -> None:
    from keys.jobs import JOBS

    values: dict[str, Any] = {
        "status": {*(status.value for status in KeyStatus), "5.."},
        "code": set(CATALOGUE),
        "job": {"datafold"},
        "task": set(JOBS),
        "result": {"hit", "miss"},
    }
    assert value in values[label], f"{label}={value}"


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    text = " ".join(expression for _, expression in expressions())
    shown = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in series()}
    assert sorted(name for name in shown if name not in text) == []


def test_every_alert_says_what_to_do() -> None:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert len(rule["annotations"]["summary"]) > 10
            assert len(rule["annotations"]["action"]) > 30


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
