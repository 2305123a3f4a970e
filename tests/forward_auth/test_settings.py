"""Settings of forward auth that cannot work, or would be too wide, are told before the server runs."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from project.checks import check_forward_auth


@pytest.mark.parametrize("host", ["*", "*.example.com", "https://app.example.com", "App.example.com", "."])
def test_what_is_no_host_is_an_error(settings: Settings, host: str) -> None:
    settings.DATAFOLD_TRUSTED_PROXIES = ["10.0.0.1/32"]
    settings.DATAFOLD_FORWARD_AUTH_HOSTS = [host]
    assert [problem.id for problem in check_forward_auth(None)] == ["datafold.E010"]


@pytest.mark.parametrize("host", ["app.example.com", "app.example.com:8443", ".example.com"])
def test_hosts_pass(settings: Settings, host: str) -> None:
    settings.DATAFOLD_TRUSTED_PROXIES = ["10.0.0.1/32"]
    settings.DATAFOLD_FORWARD_AUTH_HOSTS = [host]
    assert check_forward_auth(None) == []


def test_hosts_without_a_trusted_proxy_are_warned_of(settings: Settings) -> None:
    settings.DATAFOLD_TRUSTED_PROXIES = []
    settings.DATAFOLD_FORWARD_AUTH_HOSTS = ["app.example.com"]
    assert [problem.id for problem in check_forward_auth(None)] == ["datafold.W007"]
