"""What an operator does less often than approve and revoke, at a real browser: walks through the pages."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.browser import assert_shown, complaints_of
from tests.support.signing import Signer
from tests.support.wire import Caller, assert_granted, assert_refused

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.server import DataFoldServer

pytestmark = pytest.mark.one_stack
# Two operators sit down (signing in is walked through elsewhere); of three clients one is known and active,
# one has a key that retires, and one registered while the server demanded four eyes.
PREPARE = """
from datetime import timedelta
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client as Browser
from accounts.audit import Actor
from accounts.models import User
from keys import lifecycle
from keys.httpsig import load_public_key
from keys.registration import Registration, register

system = Actor.system("tests")
for name, role in (("walk-ada", "admin"), ("walk-milo", "manager"), ("walk-zoe", "manager")):
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    browser = Browser()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    print("session", name, browser.cookies[settings.SESSION_COOKIE_NAME].value)
for client_id, public_key in {keys!r}.items():
    settings.DATAFOLD_FOUR_EYES = client_id == "walk-pair"
    key = register(Registration(public_key=load_public_key(public_key), client_id=client_id))
    if client_id != "walk-pair":
        lifecycle.approve(key, actor=system)
    if client_id == "walk-retiring":
        lifecycle.start_retirement(key, actor=system, grace=timedelta(hours=1))
"""


class World(NamedTuple):
    server: DataFoldServer
    author: Signer
    caller: Caller
    sessions: dict[str, str]


@pytest.fixture(scope="module")
def world(datafold_server: DataFoldServer) -> Iterator[World]:
    signers = [Signer(name) for name in ("walk-author", "walk-retiring", "walk-pair")]
    prepare = PREPARE.format(keys={each.key_id: each.public_hex for each in signers})
    printed = datafold_server.manage("shell", "--no-imports", "-c", prepare).stdout.splitlines()
    sessions = dict(line.split()[1:] for line in printed if line.startswith("session "))
    caller = Caller(datafold_server.base_url)
    yield World(datafold_server, signers[0], caller, sessions)
    caller.close()


def sit_down(browser: Browser, world: World, name: str, *, width: int = 1280) -> Page:
    """That operator's own browser, signed in."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="dark")
    cookie = {"name": "sessionid", "value": world.sessions[name], "url": world.server.base_url}
    context.add_cookies([cookie])  # type: ignore[list-item]
    return context.new_page()


def open_key(page: Page, world: World, client_id: str) -> None:
    page.goto(f"{world.server.base_url}/admin/keys/key/?q={client_id}")
    page.get_by_role("link", name=client_id).first.click()


def test_an_incident_from_suspicion_to_revocation(browser: Browser, world: World, tmp_path: Path) -> None:
    """Suspend the key, let it back in, suspend the client, and in the end revoke what was stolen."""
    from playwright.sync_api import expect

    author, caller = world.author, world.caller
    schema = {"name": "walk-orders", "version": "1.0.0", "fields": [{"name": "order_id", "type": "uuid"}]}
    assert_granted(caller.signed(author, "POST", "/api/v1/schemas", schema), 201)
    page = sit_down(browser, world, "walk-ada")
    complaints = complaints_of(page)
    open_key(page, world, "walk-author")

    page.get_by_role("link", name="Suspend…").click()
    assert_shown(page, "signatures by this key are refused")
    assert_shown(page, "walk-orders")  # who is hit: the schemas it owns
    assert_shown(page, "nothing else of it verifies")
    page.get_by_label("Reason").fill("strange hours")
    page.get_by_role("button", name="Suspend", exact=True).click()
    page.get_by_text("1 key suspended").wait_for()
    refused = assert_refused(caller.signed(author, "GET", "/api/v1/auth/me"), 403, "KEY_NOT_ACTIVE")
    assert "strange hours" in str(refused)
    page.get_by_role("link", name="Reactivate…").click()
    page.get_by_label("Reason").fill("it was the night job")
    page.get_by_role("button", name="Reactivate", exact=True).click()
    page.get_by_text("1 key reactivated").wait_for()
    assert_granted(caller.signed(author, "GET", "/api/v1/auth/me"))

    page.goto(f"{world.server.base_url}/admin/accounts/client/?q=walk-author")
    page.get_by_role("link", name="walk-author").first.click()
    page.get_by_role("link", name="Suspend the client").click()
    assert_shown(page, "none of the keys of walk-author is let in")
    page.get_by_label("Reason").fill("the laptop is gone")
    page.get_by_role("button", name="Suspend walk-author").click()
    page.get_by_text("walk-author is suspended now").wait_for()
    assert_refused(caller.signed(author, "GET", "/api/v1/auth/me"), 403, "CLIENT_SUSPENDED")
    page.get_by_role("link", name="Reactivate the client").click()
    assert_shown(page, "the laptop is gone")
    page.get_by_label("Reason").fill("a new laptop")
    page.get_by_role("button", name="Reactivate walk-author").click()
    page.get_by_text("walk-author is active now").wait_for()

    open_key(page, world, "walk-author")
    page.get_by_role("link", name="Revoke…").click()
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    page.get_by_label("Compromised since (UTC)").fill(f"{an_hour_ago:%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="List what it signed since then").click()
    page.get_by_text("walk-orders number 1").wait_for()
    assert page.get_by_label("Compromised since (UTC)").input_value() == f"{an_hour_ago:%Y-%m-%dT%H:%M}"
    assert_granted(caller.signed(author, "GET", "/api/v1/auth/me"))  # a preview decides nothing
    page.get_by_label("Reason (RFC 5280)").select_option("keyCompromise")
    page.get_by_role("button", name="Revoke for good").click()
    page.get_by_text("1 key revoked").wait_for()
    assert_refused(caller.signed(author, "GET", "/api/v1/auth/me"), 403, "KEY_REVOKED")
    assert_shown(page, "walk-orders number 1")  # the key's page keeps the list of what is suspect

    page.get_by_role("link", name="All of it").click()
    assert_shown(page, "key.suspended", "strange hours", "key.reactivated", "key.revoked", "walk-ada")
    revocation = page.locator(".df-events > li", has_text="key.revoked").locator("tr", has_text="status")
    expect(revocation.locator("td")).to_have_text(["active", "revoked"])

    page.goto(f"{world.server.base_url}/admin/keys/key/?q=walk-author")
    page.get_by_role("link", name="Export").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Submit").click()
    download.value.save_as(tmp_path / "keys.csv")
    with (tmp_path / "keys.csv").open() as exported:
        rows = list(csv.DictReader(exported))
    assert [(row["client__client_id"], row["status"]) for row in rows] == [("walk-author", "revoked")]
    assert complaints == []
    page.context.close()


def test_two_operators_an_invitation_and_a_rotation_rolled_back(browser: Browser, world: World) -> None:
    """The second pair of eyes is on a phone."""
    from playwright.sync_api import expect

    ada, milo = sit_down(browser, world, "walk-ada"), sit_down(browser, world, "walk-milo", width=400)
    open_key(ada, world, "walk-pair")
    ada.get_by_role("link", name="Approve…").click()
    assert_shown(ada, "becomes active when another operator agrees")
    ada.get_by_role("button", name="Approve", exact=True).click()
    ada.get_by_text("Another operator must approve too").wait_for()
    assert_shown(ada, "1 of 2 approvals, walk-ada")
    ada.get_by_role("link", name="Approve…").click()
    ada.get_by_role("button", name="Approve", exact=True).click()
    ada.get_by_text("You approved this key already").wait_for()
    open_key(milo, world, "walk-pair")
    milo.get_by_role("link", name="Approve…").click()
    assert_shown(milo, "becomes active at once")
    assert_shown(milo, "walk-ada")
    assert milo.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    milo.get_by_role("button", name="Approve", exact=True).click()
    milo.get_by_text("1 key approved").wait_for()
    milo.context.close()

    ada.goto(f"{world.server.base_url}/admin/accounts/client/?q=walk-pair")
    ada.get_by_role("link", name="walk-pair").first.click()
    ada.get_by_role("link", name="Issue an enrolment token").click()
    assert_shown(ada, "one more key for walk-pair")
    ada.get_by_role("button", name="Issue the token").click()
    token = ada.locator(".df-secret code").first.inner_text()
    assert_shown(ada, "not kept and not shown again")
    ada.get_by_role("link", name="Done").click()
    ada.get_by_role("link", name="#").first.click()
    assert token not in ada.content()
    invited = world.caller.register(Signer("walk-pair"), enrolment_token=token)
    assert assert_granted(invited)["data"]["status"] == "active"
    ada.reload()
    expect(ada.get_by_role("link", name="Withdraw…"), "it is used").to_have_count(0)

    open_key(ada, world, "walk-retiring")
    ada.get_by_role("link", name="Roll back the rotation…").click()
    assert_shown(ada, "does not retire")
    ada.get_by_label("Reason").fill("the successor fails")
    ada.get_by_role("button", name="Roll back", exact=True).click()
    ada.get_by_text("1 key rolled back").wait_for()
    expect(ada.locator(".df-head .df-tag").first).to_have_text("Active")

    ada.goto(f"{world.server.base_url}/admin/accounts/user/?q=walk-zoe")
    ada.get_by_role("link", name="walk-zoe").first.click()
    ada.get_by_label("Role").select_option("auditor")
    ada.get_by_label("Reason").fill("she moved to audit")
    ada.get_by_role("button", name="Save", exact=True).click()
    ada.get_by_text("was changed successfully").wait_for()
    ada.get_by_role("link", name="walk-zoe").first.click()
    ada.get_by_role("link", name="Reset the second factor…").click()
    assert_shown(ada, "every session and token of it ends at once")
    ada.get_by_role("link", name="Cancel").click()
    ada.locator("#main").get_by_role("link", name="History").click()
    assert_shown(ada, "she moved to audit")
    assert_shown(ada, "auditor")
    ada.context.close()
