"""A newcomer at a real browser: approves, asks for a rotation, revokes. Light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import assert_shown, complaints_of, login
from tests.support.signing import Signer
from tests.support.wire import Caller

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.server import DataFoldServer

pytestmark = pytest.mark.one_stack
PASSWORD = "correct horse battery staple"
MAKE_OPERATOR = f"""
from django.contrib.auth.models import Group
from accounts.models import User
user, new = User.objects.get_or_create(username="browser-mara", defaults={{"is_staff": True}})
user.set_password({PASSWORD!r}); user.save(); user.groups.set(Group.objects.filter(name="manager"))
"""
APPROVE = """
from accounts.audit import Actor
from keys import lifecycle
from keys.models import Key
lifecycle.approve(Key.objects.get(client__client_id="browser-author"), actor=Actor.system("tests"))
"""
FIELDS = [{"name": "order_id", "type": "uuid", "required": True}]
LATER = [*FIELDS, {"name": "a_field_with_a_rather_long_name", "type": "string", "description": "free text"}]


@pytest.fixture(scope="module")
def server(datafold_server: DataFoldServer) -> DataFoldServer:
    datafold_server.manage("shell", "-c", MAKE_OPERATOR)
    return datafold_server


def register(server: DataFoldServer, client_id: str) -> None:
    import json
    from urllib.request import ProxyHandler, Request, build_opener

    body = json.dumps({"client_id": client_id, "public_key": Signer(client_id).public_hex}).encode()
    request = Request(
        f"{server.base_url}/api/v1/crypto/keys/register",
        body,
        {"Content-Type": "application/json"},
        method="POST",
    )
    with build_opener(ProxyHandler({})).open(request) as answer:
        assert answer.status == 200


def test_a_newcomer_approves_rotates_and_revokes(page: Page, server: DataFoldServer) -> None:
    from playwright.sync_api import expect

    register(server, "browser-orders")
    login(page, server.base_url, "browser-mara", PASSWORD)
    page.get_by_role("link", name="Approval queue").first.click()
    card = page.locator("section", has=page.get_by_role("link", name="browser-orders", exact=True))
    card.get_by_role("link", name="Approve…").click()
    assert_shown(page, "becomes active at once")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_text("1 key approved").wait_for()
    page.locator("#nav-sidebar-apps").get_by_role("link", name="Keys").click()
    page.get_by_role("link", name="browser-orders").click()
    page.get_by_role("link", name="Ask to rotate…").click()
    page.get_by_role("button", name="Ask to rotate", exact=True).click()
    page.get_by_text("asked to rotate by").wait_for()
    page.get_by_role("link", name="Revoke…").click()
    assert_shown(page, "This is final")
    page.get_by_label("Reason (RFC 5280)").select_option("superseded")
    page.get_by_role("button", name="Revoke for good").click()
    page.get_by_text("1 key revoked").wait_for()
    expect(page.get_by_role("link", name="Suspend…")).to_have_count(0)


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 420)])
def test_pages_fit_the_screen_and_nothing_is_blocked(
    browser: Browser, server: DataFoldServer, take_screenshot: Callable[..., Any], theme: Any, width: int
) -> None:
    client_id = f"browser-{theme}-{width}"
    register(server, client_id)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    login(page, server.base_url, "browser-mara", PASSWORD)
    complaints = complaints_of(page)
    for name, path in [
        ("dashboard", "/admin/"),
        ("queue", "/admin/keys/key/queue/"),
        ("keys", "/admin/keys/key/"),
        ("clients", f"/admin/accounts/client/?q={client_id}"),
        ("audit", "/admin/accounts/auditevent/"),
    ]:
        page.goto(server.base_url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
            f"{name} is wider than the screen"
        )
        take_screenshot(page, f"admin-{name}-{theme}-{width}")
    page.goto(f"{server.base_url}/admin/keys/key/?q={client_id}")
    page.get_by_role("link", name=client_id).first.click()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "a key's page is too wide"
    )
    take_screenshot(page, f"admin-key-{theme}-{width}")
    assert complaints == []
    context.close()


def test_a_version_with_its_proof_and_two_side_by_side_fit_a_phone(
    browser: Browser, server: DataFoldServer, take_screenshot: Callable[..., Any]
) -> None:
    from playwright.sync_api import expect

    author, caller = Signer("browser-author"), Caller(server.base_url)
    caller.register(author)
    server.manage("shell", "--no-imports", "-c", APPROVE)
    first = {"name": "browser-orders", "version": "1.0.0", "fields": FIELDS}
    caller.signed(author, "POST", "/api/v1/schemas", first).raise_for_status()
    second = {"version": "1.1.0", "fields": LATER}
    caller.signed(author, "POST", "/api/v1/schemas/browser-orders/versions", second).raise_for_status()
    caller.close()
    context = browser.new_context(viewport={"width": 400, "height": 900})
    page = context.new_page()
    login(page, server.base_url, "browser-mara", PASSWORD)
    page.goto(f"{server.base_url}/admin/schemas/schema/?q=browser-orders")
    page.get_by_role("link", name="browser-orders").first.click()
    page.get_by_role("link", name="Compare the two newest").click()
    expect(page.get_by_text("FIELD_REMOVED")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    take_screenshot(page, "admin-schema-diff-phone")
    page.go_back()
    page.get_by_role("link", name="v1").first.click()
    expect(page.get_by_text("The receipt verifies")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    take_screenshot(page, "admin-schema-version-phone")
    context.close()


def test_selected_keys_go_to_the_confirmation(page: Page, server: DataFoldServer) -> None:
    register(server, "browser-bulk-a")
    register(server, "browser-bulk-b")
    login(page, server.base_url, "browser-mara", PASSWORD)
    page.goto(f"{server.base_url}/admin/keys/key/?q=browser-bulk")
    for box in page.locator("#result_list input.action-select").all():
        box.check()
    page.locator("select[name=action]").first.select_option("bulk_reject")
    page.locator("#changelist-actions-wrapper button").first.click()
    page.get_by_label("Reason").fill("not ours")
    page.get_by_role("button", name="Reject these 2 keys").click()
    page.get_by_text("2 keys rejected").wait_for()


def test_the_command_palette_finds_a_client(page: Page, server: DataFoldServer) -> None:
    register(server, "browser-palette")
    login(page, server.base_url, "browser-mara", PASSWORD)
    page.keyboard.press("Control+k")
    page.locator("#search-input-command").press_sequentially("browser-pal")
    page.locator("#command-results-list a", has_text="browser-palette").first.click()
    page.get_by_text("Verified requests per day").first.wait_for()
