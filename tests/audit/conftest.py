from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet

from keys import server_keys


@pytest.fixture(autouse=True)
def _server_keys(settings: Any) -> Iterator[None]:
    settings.DATAFOLD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    server_keys.clear_cache()
    yield
    server_keys.clear_cache()
