"""A real browser for the pages that people use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WHY_SKIPPED = f"no Chromium on the PATH ({', '.join(NAMES)}): install the distribution's package"


def chromium_path() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        # The sandbox needs rights that root in a container does not have; only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


def login(page: Page, base_url: str, username: str, password: str) -> None:
    """Sign in to the admin as a person would, on whatever page it leads to."""
    page.goto(f"{base_url}/admin/")
    page.locator("input[name=username], input[name=login]").fill(username)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(f"{base_url}/admin/")


def assert_shown(page: Page, *texts: str) -> None:
    """The page's content holds these, or will once it has come: a click does not wait for the whole next page."""
    from playwright.sync_api import expect

    for text in texts:
        expect(page.locator("#content").first).to_contain_text(text, use_inner_text=True)


def complaints_of(page: Page) -> list[str]:
    """What the browser complains of, a blocked script or a missing file among it."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def screenshot(page: Page, folder: Path, name: str) -> Path:
    """A picture of the whole page, for people to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
