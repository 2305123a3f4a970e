"""The pages that people open run under the policy they are sent with: seen in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller

pytestmark = pytest.mark.one_stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', event => window.violations.push(
    `${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`));
"""
PUBLIC = ["/", "/docs", "/redoc", "/account/login/"]
# A page with charts, a list and a page of allauth's; tests/admin/test_browser.py watches the others.
CONSOLE = ["/admin/", "/admin/schemas/schema/", "/account/2fa/"]


class Visitor:
    """Opens pages and keeps what the browser complained of."""

    def __init__(self, browser: Browser, base_url: str, session: str = "") -> None:
        self.base_url = base_url
        self.complaints: list[str] = []
        self.context = browser.new_context()
        if session:
            self.context.add_cookies([{"name": "sessionid", "value": session, "url": base_url}])
        self.page = self.context.new_page()
        self.page.add_init_script(WATCH)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def visit(self, path: str) -> None:
        response = self.page.goto(self.base_url + path, wait_until="networkidle")
        assert response is not None
        assert response.status == 200, path
        assert "text/html" in response.headers["content-type"]
        self.complaints += self.page.evaluate("window.violations")

    def _note(self, message: Any) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.complaints.append(message.text)


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_violate_nothing(browser: Browser, datafold_server: DataFoldServer, path: str) -> None:
    visitor = Visitor(browser, datafold_server.base_url)
    visitor.visit(path)
    assert visitor.complaints == []
    visitor.context.close()


@pytest.mark.parametrize("path", CONSOLE)
def test_console_pages_violate_nothing(
    browser: Browser, datafold_server: DataFoldServer, operator_session: str, path: str
) -> None:
    visitor = Visitor(browser, datafold_server.base_url, operator_session)
    visitor.visit(path)
    assert visitor.complaints == []
    visitor.context.close()


def test_a_change_page_violates_nothing_and_its_scripts_run(
    browser: Browser, datafold_server: DataFoldServer, operator_session: str, caller: Caller
) -> None:
    assert caller.register(Signer("policy-visitor")).status_code == 200
    visitor = Visitor(browser, datafold_server.base_url, operator_session)
    visitor.visit("/admin/accounts/client/")
    visitor.page.get_by_role("link", name="policy-visitor").first.click()
    visitor.page.wait_for_load_state("networkidle")
    assert "/change/" in visitor.page.url
    visitor.complaints += visitor.page.evaluate("window.violations")
    assert visitor.complaints == []
    assert visitor.page.evaluate(
        "typeof window.Alpine === 'object' && !document.querySelector('html[x-cloak]')"
    )
    visitor.context.close()


def test_the_reference_pages_show_the_api(browser: Browser, datafold_server: DataFoldServer) -> None:
    visitor = Visitor(browser, datafold_server.base_url)
    visitor.visit("/docs")
    visitor.page.get_by_text("/api/v1/crypto/keys/register").first.wait_for()
    visitor.visit("/redoc")
    visitor.page.get_by_role("heading", name="Register a public key").first.wait_for()
    assert visitor.complaints == []
    visitor.context.close()


def test_an_injected_script_does_not_run(browser: Browser, datafold_server: DataFoldServer) -> None:
    visitor = Visitor(browser, datafold_server.base_url)
    visitor.visit("/")
    visitor.page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.injected = 1'; document.body.append(s)"
    )
    assert visitor.page.evaluate("window.injected") is None
    assert any(
        line.startswith("script-src-elem inline") for line in visitor.page.evaluate("window.violations")
    )
    visitor.context.close()
