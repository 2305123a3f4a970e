"""The pages of login and second factor in a real browser, under the real content security policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.operators.support import totp

pytestmark = pytest.mark.one_stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.server import DataFoldServer

ENCRYPTION_KEY = "anVkZ2VkLW9ubHktYnktbWFrZS1jaGVjay0wMTIzNDU="
Screenshot = Callable[["Page", str], Path]


@pytest.fixture(scope="module")
def server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server("operators", DATAFOLD_ENCRYPTION_KEYS=ENCRYPTION_KEY, DATAFOLD_REQUIRE_MFA="true")


@pytest.fixture(scope="module")
def base_url(server: DataFoldServer) -> str:
    """By name: an address is no domain that a passkey could belong to."""
    return f"http://localhost:{server.port}"


def new_operator(server: DataFoldServer, username: str) -> str:
    """An admin and a password, made by the server's own service."""
    program = (
        "from accounts import operators; from accounts.audit import Actor; from accounts.roles import Role;"
        f"print(operators.create_operator(actor=Actor.system('tests'), username='{username}', role=Role.ADMIN)[1])"
    )
    return server.manage("shell", "--no-imports", "-c", program).stdout.strip()


@pytest.fixture
def problems(page: Page) -> list[str]:
    """What the browser complained about: errors of scripts, and what the policy blocked."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "console", lambda message: found.append(message.text) if "Security Policy" in message.text else None
    )
    return found


def sign_in(page: Page, base_url: str, username: str, password: str) -> None:
    page.goto(f"{base_url}/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def confirm_password(page: Page, password: str) -> None:
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Confirm").click()


def test_a_newcomer_sets_up_an_app_and_gets_in(
    page: Page, server: DataFoldServer, base_url: str, problems: list[str], take_screenshot: Screenshot
) -> None:
    from playwright.sync_api import expect

    password = new_operator(server, "newcomer")
    page.goto(f"{base_url}/account/login/")
    take_screenshot(page, "login")
    sign_in(page, base_url, "newcomer", password)
    page.wait_for_url("**/account/2fa/")
    expect(page.get_by_text("Set one up to go on")).to_be_visible()
    take_screenshot(page, "second-factor")
    page.get_by_role("link", name="Activate").click()
    confirm_password(page, password)
    secret = page.locator("#authenticator_secret").input_value()
    take_screenshot(page, "authenticator-app")
    page.get_by_label("Authenticator code").fill(totp(secret))
    page.get_by_role("button", name="Activate").click()
    page.wait_for_url("**/recovery-codes/")
    codes = page.locator("#recovery_codes").input_value().split()
    assert len(codes) == 10
    page.get_by_label("I have saved my recovery codes").check()
    take_screenshot(page, "recovery-codes")
    page.get_by_role("link", name="Go on to the admin").click()
    page.wait_for_url(f"{base_url}/admin/")
    page.goto(f"{base_url}/account/logout/")
    page.locator("main").get_by_role("button", name="Sign Out").click()
    sign_in(page, base_url, "newcomer", password)
    expect(page.get_by_text("or one of your recovery codes")).to_be_visible()
    expect(page.get_by_role("button", name="Use a passkey")).to_have_count(0)
    take_screenshot(page, "second-factor-code")
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign In").click()
    page.wait_for_url(f"{base_url}/admin/")
    page.goto(f"{base_url}/account/logout/")
    page.locator("main").get_by_role("button", name="Sign Out").click()
    sign_in(page, base_url, "newcomer", password)
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign In").click()
    expect(page.get_by_text("Incorrect code"), "a recovery code is good once").to_be_visible()
    page.get_by_label("Code").fill(totp(secret, 1))
    page.get_by_role("button", name="Sign In").click()
    page.wait_for_url(f"{base_url}/admin/")
    assert problems == []


def test_a_passkey_is_added_and_signs_in_alone(
    page: Page, server: DataFoldServer, base_url: str, problems: list[str], take_screenshot: Screenshot
) -> None:
    from playwright.sync_api import expect

    password = new_operator(server, "keyholder")
    add_virtual_authenticator(page)
    sign_in(page, base_url, "keyholder", password)
    page.get_by_role("link", name="Add").click()
    confirm_password(page, password)
    page.get_by_label("Name").fill("Laptop")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**/recovery-codes/")
    page.goto(f"{base_url}/account/2fa/webauthn/")
    expect(page.get_by_text("Laptop")).to_be_visible()
    take_screenshot(page, "passkeys")
    page.goto(f"{base_url}/account/logout/")
    page.locator("main").get_by_role("button", name="Sign Out").click()
    page.goto(f"{base_url}/account/login/")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{base_url}/admin/")
    page.goto(f"{base_url}/account/logout/")
    page.locator("main").get_by_role("button", name="Sign Out").click()
    sign_in(page, base_url, "keyholder", password)
    page.wait_for_url("**/account/2fa/authenticate/")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{base_url}/admin/")
    assert problems == []


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]
)
def test_the_login_page_fits(
    browser: Browser, base_url: str, scheme: Any, width: int, take_screenshot: Screenshot
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 740})
    page = context.new_page()
    page.goto(f"{base_url}/account/login/")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    take_screenshot(page, f"login-{scheme}-{width}")
    context.close()


def add_virtual_authenticator(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
            }
        },
    )
