from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet

from keys.api.throttles import shared_limit
from tests.operators.support import Operator, make_operator
from tests.support.client import WireClient


@pytest.fixture(autouse=True)
def _encryption_keys(settings: Any) -> None:
    settings.DATAFOLD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]


@pytest.fixture(autouse=True)
def _wide_limits(settings: Any) -> None:
    """All tests come from one address; those about the limits set them themselves."""
    shared_limit.cache_clear()
    settings.DATAFOLD_LOGIN_RATE = "100000/minute"


@pytest.fixture
def operator(db: None) -> Callable[..., Operator]:
    """Make an operator: `operator("auditor")`."""
    return make_operator


@pytest.fixture
def browser_client() -> WireClient:
    """A browser's cookies, with CSRF enforced as outside of tests."""
    return WireClient(enforce_csrf_checks=True)
