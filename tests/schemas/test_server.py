"""The registry on a running server: uploads through gunicorn, receipts by the command line, the pages in a browser."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from datafold_sdk.cli import main as run_command_line

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.stack import Stack, current_stack
from tests.support.wire import Caller, assert_refused

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIELDS = [{"name": "id", "type": "uuid", "required": True}, {"name": "n", "type": "integer"}]
ROW = {"id": "0b7c5e0a-6b0e-4c5e-9c57-0d2f6f3f9f01", "n": 1}


@pytest.fixture(scope="module")
def server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server(
        "schemas",
        DATAFOLD_REGISTRATION_POLICY="open",
        CELERY_BROKER_URL="",
        DATAFOLD_MAX_BODY_BYTES=str(4 << 20),
    )


@pytest.fixture(scope="module")
def caller(server: DataFoldServer) -> Caller:
    return Caller(server.base_url)


@pytest.fixture(scope="module")
def signer(caller: Caller) -> Signer:
    signer = Signer("registry-user")
    body = {"client_id": signer.key_id, "public_key": signer.public_hex}
    assert caller.http.post("/api/v1/crypto/keys/register", json=body).status_code == 200
    created = caller.signed(signer, "POST", "/api/v1/schemas", {"name": "rows", "fields": FIELDS})
    assert created.status_code == 201, created.text
    return signer


def test_a_file_streams_through_the_server(server: DataFoldServer, caller: Caller, signer: Signer) -> None:
    rows = b"".join(
        json.dumps({**ROW, "n": number if number % 1000 else "x"}).encode() + b"\n"
        for number in range(40_000)
    )
    body = gzip.compress(rows)
    assert len(rows) > 2_000_000
    path = "/api/v1/schemas/rows/versions/1/validate-file"
    for content, headers in ((rows, {}), (body, {"Content-Encoding": "gzip"})):
        signed = signer.sign(
            "POST",
            server.base_url + path,
            content=content,
            headers={"Content-Type": "application/x-ndjson", **headers},
        )
        started = caller.send(signed)
        assert started.status_code == 202, started.text
        replayed = caller.send(signed)
        assert replayed.json()["error"]["code"] == "NONCE_REUSED"
        task = f"/api/v1/tasks/{started.json()['data']['id']}"
        done = _wait_for(lambda task=task: caller.signed(signer, "GET", task).json()["data"])  # type: ignore[misc]
        assert (done["state"], done["error"]) == ("done", None)
        assert (done["result"]["records"], done["result"]["invalid"]) == (40_000, 40)
        report = caller.signed(signer, "GET", f"{task}/report")
        assert len(report.text.splitlines()) == 40
    tampered = signer.sign("POST", server.base_url + path, content=rows, headers={"Content-Type": "text/csv"})
    tampered.content = rows[:-2] + b"!\n"
    assert caller.send(tampered).json()["error"]["code"] == "DIGEST_MISMATCH"


def test_a_body_may_be_as_large_as_the_setting_says(caller: Caller, signer: Signer) -> None:
    """Over the 2.5 MiB at which Django would stop by itself."""
    body = {"documents": [{**ROW, "note": "x" * (3 << 20)}]}
    path = "/api/v1/schemas/rows/versions/1/validate"
    checked = caller.signed(signer, "POST", path, body)
    assert checked.status_code == 200, checked.text[:500]
    assert_refused(caller.signed(signer, "POST", path, {"document": "x" * (4 << 20)}), 413, "BODY_TOO_LARGE")


def test_a_large_upload_is_answered_with_a_signature(caller: Caller, signer: Signer) -> None:
    signed = signer.sign(
        "POST",
        f"{caller.base_url}/api/v1/schemas/rows/versions/1/validate-file",
        content=b" " * (5 << 20),
        headers={
            "Content-Type": "application/x-ndjson",
            "Accept-Signature": 'sig1=("@status" "content-digest" "content-digest";req);created',
        },
    )
    started = caller.send(signed)
    assert started.status_code == 202, started.text
    assert "Signature" in started.headers


def _wait_for(read: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = read()
        if found["state"] not in ("queued", "running") or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def test_who_read_a_version_shows_although_nobody_reads_on(
    server: DataFoldServer, caller: Caller, signer: Signer
) -> None:
    if current_stack() is Stack.SQLITE:
        pytest.skip("without Redis a process writes its reads down at the next one")
    version = "/api/v1/schemas/rows/versions/1"
    for _ in range(5):
        assert caller.signed(signer, "GET", version).status_code == 200

    def readers() -> Any:
        server.manage("housekeeping", "--job", "flush-schema-reads")
        rows = caller.signed(signer, "GET", "/api/v1/schemas/rows/readers").json()["data"]
        return {"state": "done" if sum(row["reads"] for row in rows) >= 5 else "running", "rows": rows}

    (row,) = _wait_for(readers)["rows"]
    assert (row["client_id"], row["number"], row["reads"]) == (signer.key_id, 1, 5)


def test_an_exported_receipt_verifies_offline(
    server: DataFoldServer, caller: Caller, signer: Signer, tmp_path: Path
) -> None:
    receipt = caller.signed(signer, "GET", "/api/v1/schemas/rows/versions/1/receipt").json()["data"]
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipt))
    command = [sys.executable, "-m", "datafold_sdk.cli", "verify-receipt", str(file)]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    receipt["content"][1]["type"] = "string"
    file.write_text(json.dumps(receipt))
    assert run_command_line(["verify-receipt", str(file)]) != 0
    assert "verified" in server.manage("verify_receipts").stdout


@pytest.mark.one_stack
def test_the_pages_in_a_browser(
    server: DataFoldServer,
    caller: Caller,
    signer: Signer,
    page: Page,
    take_screenshot: Callable[[Page, str], Path],
) -> None:
    from playwright.sync_api import expect

    from tests.support.browser import login

    changed = [
        *FIELDS[:1],
        {"name": "n", "type": "string"},
        {"name": "must", "type": "date", "required": True},
    ]
    caller.signed(
        signer, "POST", "/api/v1/schemas", {"name": "shown", "fields": FIELDS, "compatibility": "NONE"}
    )
    caller.signed(signer, "POST", "/api/v1/schemas/shown/versions", {"fields": changed})
    script = (
        "from accounts.models import User; from django.contrib.auth.models import Group; "
        "u = User.objects.create_user('reg-ada', password='correct horse battery', is_staff=True); "
        "u.groups.add(Group.objects.get(name='admin'))"
    )
    server.manage("shell", "-c", script)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    login(page, server.base_url, "reg-ada", "correct horse battery")

    page.goto(f"{server.base_url}/admin/schemas/schema/")
    take_screenshot(page, "schemas-list")
    page.get_by_role("link", name="shown").first.click()
    take_screenshot(page, "schema")
    schema = page.url
    page.get_by_role("link", name="Compare the two newest").click()
    expect(page.get_by_text("not backward compatible").first).to_be_visible()
    expect(page.get_by_text("FIELD_REQUIRED").first).to_be_visible()
    take_screenshot(page, "schema-diff")
    page.goto(schema)
    page.get_by_role("link", name="v2", exact=True).click()
    expect(page.get_by_text("The receipt verifies").first).to_be_visible()
    take_screenshot(page, "schema-version")
    page.goto(schema)
    page.get_by_role("link", name="Block", exact=True).click()
    page.locator("textarea[name=reason]").fill("Personal data")
    take_screenshot(page, "schema-block")
    page.get_by_role("button", name="Block").click()
    expect(page.get_by_text("The schema shown is blocked").first).to_be_visible()
    take_screenshot(page, "schema-blocked")
    refused = caller.signed(signer, "GET", "/api/v1/schemas/shown/versions/1").json()["error"]
    assert (refused["code"], refused["details"]["reason"]) == ("SCHEMA_BLOCKED", "Personal data")
    assert complaints == []
