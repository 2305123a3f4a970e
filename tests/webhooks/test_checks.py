"""The numbered checks on where webhooks may go."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.webhooks.checks import check_webhook_networks


@pytest.mark.parametrize(
    ("networks", "ids"),
    [
        ([], []),
        (["8.8.8.0/24", "2606:4700::/32"], []),
        (["nonsense"], ["datafold.E030"]),
        (["10.1.2.3/8"], ["datafold.E030"]),
        (["10.1.0.0/16", "127.0.0.1/32"], ["datafold.W030", "datafold.W030"]),
        (["0.0.0.0/0"], ["datafold.W030"]),
        (["::ffff:0:0/96"], ["datafold.W030"]),
    ],
)
def test_networks_that_are_not_public_are_told_of(settings: Any, networks: list[str], ids: list[str]) -> None:
    settings.DATAFOLD_DEVELOPMENT = False
    settings.DATAFOLD_WEBHOOK_ALLOWED_NETWORKS = networks
    problems = check_webhook_networks(None)
    assert [problem.id for problem in problems] == ids
    assert all(problem.hint for problem in problems)


def test_in_development_private_networks_are_a_choice(settings: Any) -> None:
    settings.DATAFOLD_WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    assert check_webhook_networks(None) == []
