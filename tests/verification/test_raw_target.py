"""Only a server that hands over the target as it stood on the wire can be trusted with signatures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.support.client import ORIGIN, WireClient
from tests.support.registered import register_active

FACTS = Path(os.environ.get("DATAFOLD_VECTORS", "../shared/vectors")) / "server_facts.json"

# What each server gives an application, as its environ (vectors/server_facts.json, "raw_target").
UNSUPPORTED: dict[str, dict[str, Any]] = {
    "granian, wsgiref, django's runserver": {},
    "waitress": {"REQUEST_URI": "/api/v1/auth/me"},
    "uwsgi": {"REQUEST_URI": "/api/v1/auth/me"},
    "empty": {"RAW_URI": ""},
}


@pytest.mark.django_db
@pytest.mark.parametrize("server", UNSUPPORTED)
def test_where_the_target_is_missing_nothing_passes(server: str) -> None:
    """REQUEST_URI is not taken for it: uWSGI hands over `/a/../b` with another PATH_INFO than gunicorn."""
    signer = register_active("raw-target")
    signed = signer.sign("GET", f"{ORIGIN}/api/v1/auth/me")
    answer = Client().get("/api/v1/auth/me", headers=signed.headers, **UNSUPPORTED[server])
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert error["code"] == "RAW_TARGET_MISSING"
    assert "gunicorn" in error["message"]


@pytest.mark.django_db
def test_a_header_cannot_stand_in_for_it() -> None:
    signer = register_active("raw-target")
    signed = signer.sign("GET", f"{ORIGIN}/api/v1/auth/me")
    answer = Client().get("/api/v1/auth/me", headers={**signed.headers, "Raw-URI": "/api/v1/auth/me"})
    assert answer.json()["error"]["code"] == "RAW_TARGET_MISSING"


@pytest.mark.django_db
def test_the_raw_target_counts_and_not_the_decoded_path() -> None:
    signer = register_active("raw-target")
    for raw in ("/api/v1/auth/me?q=%2f&e", "/api/v1/auth/me?q=/"):
        signed = signer.sign("GET", f"{ORIGIN}{raw}")
        answer = WireClient().get("/api/v1/auth/me", headers=signed.headers, RAW_URI=raw)
        assert answer.status_code == 200, answer.content
        signed = signer.sign("GET", f"{ORIGIN}{raw}")
        answer = WireClient().get("/api/v1/auth/me", headers=signed.headers, RAW_URI="/api/v1/auth/me")
        assert answer.status_code == 401


def test_gunicorn_is_seen_to_hand_it_over() -> None:
    if not FACTS.exists():
        pytest.skip("no vectors: set DATAFOLD_VECTORS to the folder with server_facts.json")
    facts = json.loads(FACTS.read_text())
    assert facts["summary"]["raw_target"]["gunicorn (sync, wsgi)"] == "RAW_URI"
    for probe in facts["probes"].values():
        seen = probe["observed"].get("gunicorn-sync", {}).get("seen")
        if isinstance(seen, dict) and "RAW_URI" in seen:
            request_line = probe["request_bytes_latin1"].split("\r\n")[0]
            assert seen["RAW_URI"] == request_line.split(" ")[1]
