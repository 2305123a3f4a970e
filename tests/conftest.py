"""The stack that the tests run on, and the fixtures that all of them share.

`python -m pytest tests/keys` tests on SQLite, `DATAFOLD_TEST_STACK=postgres python -m pytest …` on
PostgreSQL and Redis. `make test` runs workers for each, side by side: tests that touch a
database or a server run on both, the others once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.stack import (
    PROJECT,
    Stack,
    current_stack,
    enter_stack,
    migrated_template,
    new_folder,
    run_folder,
)

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
run_folder()  # first, so that xdist's workers inherit it
enter_stack()

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.client import SignedClient, WireClient
    from tests.support.server import DataFoldServer

# Fixtures that bring a database or a server with them: such tests run on both stacks.
STACK_FIXTURES = {
    "db",
    "transactional_db",
    "datafold_server",
    "start_server",
    "start_shared_server",
    "live_server",
}


def pytest_report_header() -> str:
    return f"stack: {current_stack()}" if not IS_WORKER else ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """On a worker of `make test`, pass over, without a report, what another worker has taken.

    A module is taken as a whole, once for each stack that it depends on, by whoever comes to it first;
    so nobody waits for the worker that happened to get the slow ones.
    """
    if "DATAFOLD_TEST_SHARED" not in os.environ:
        return None
    if not _is_mine(item):
        return True
    # Fixtures are torn down by what comes next, and that is the next one that is not passed over.
    items = item.session.items
    nextitem = next(filter(_is_mine, items[items.index(item) + 1 :]), None)
    runner: Any = item.config.pluginmanager.get_plugin("runner")
    return bool(runner.pytest_runtest_protocol(item, nextitem))


_mine: dict[str, bool] = {}


def _is_mine(item: pytest.Item) -> bool:
    if item.get_closest_marker("on_postgres") and current_stack() is not Stack.POSTGRES:
        return False
    module = item.nodeid.partition("::")[0].replace("/", ".")
    share = f"{module}@{current_stack() if depends_on_stack(item) else 'any'}"
    if share not in _mine:
        try:
            (run_folder() / share).touch(exist_ok=False)
            _mine[share] = True
        except FileExistsError:
            _mine[share] = False
    return _mine[share]


def depends_on_stack(item: pytest.Item) -> bool:
    from django.test import SimpleTestCase, TestCase, TransactionTestCase

    if item.get_closest_marker("one_stack"):
        return False
    case = getattr(item, "cls", None)
    if case is not None and issubclass(case, TransactionTestCase | TestCase):
        return True
    if case is not None and issubclass(case, SimpleTestCase):
        return False
    if item.get_closest_marker("each_stack") or item.get_closest_marker("skipif"):
        return True  # what one stack skips the other may run
    fixtures = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("django_db") is not None or bool(fixtures & STACK_FIXTURES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.failed:
        report.sections.append(("stack", str(current_stack())))
        if server := getattr(item, "funcargs", {}).get("datafold_server"):
            report.sections.append(("server's errors", server.errors()[-3000:]))
    return report


# --- The database of this process -----------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """A copy of the migrated database; on SQLite in a file, since tests with threads need real locking."""
    from django.db import connections

    test = connections["default"].settings_dict["TEST"]
    if current_stack() is Stack.SQLITE:
        test["NAME"] = str(new_folder("unit-") / "test.sqlite3")
        shutil.copy(migrated_template(), test["NAME"])
    else:
        test["TEMPLATE"] = migrated_template()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """True: else pytest-django throws the copy away and migrates anew. It ends with the test run's folder."""
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    from django.test import override_settings

    from tests.support.database import let_flush_pass

    with django_db_blocker.unblock():
        let_flush_pass()
    # Hashed as in earnest, each login would take half a second of processor time; servers that are started do so.
    override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]).enable()


@pytest.fixture(autouse=True)
def _commit_hooks(request: pytest.FixtureRequest) -> Iterator[None]:
    """`transaction.on_commit` works in tests that are rolled back, too."""
    if _database_use(request) != "rolled back":
        yield
        return
    request.getfixturevalue("db")
    from tests.support.database import commits_for_real

    with commits_for_real():
        yield


@pytest.fixture(autouse=True)
def _no_memory(request: pytest.FixtureRequest) -> None:
    """What the process and Redis remember of the last test's database is not true of this one's."""
    if _database_use(request):
        from tests.support.memory import forget

        forget()


def _database_use(request: pytest.FixtureRequest) -> str:
    """ "rolled back", "committed", or "" for a test without a database."""
    marker = request.node.get_closest_marker("django_db")
    names = set(request.fixturenames)
    if "transactional_db" in names or (marker is not None and marker.kwargs.get("transaction")):
        return "committed"
    return "rolled back" if marker is not None or "db" in names else ""


# --- Clients ----------------------------------------------------------------------------------------


@pytest.fixture
def client() -> WireClient:
    """Django's test client, with the raw target."""
    from tests.support.client import WireClient

    return WireClient()


@pytest.fixture
def signed_client(db: None) -> SignedClient:
    """A registered client with an active key, all default scopes, that signs what it sends."""
    from tests.support.client import SignedClient
    from tests.support.registered import register_active

    return SignedClient(register_active("signed-client"))


# --- Servers ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start_server() -> Iterator[Callable[..., DataFoldServer]]:
    """Start servers with settings of their own: `start_server("name", DATAFOLD_…="…")`.

    They end with the module: idle ones would still keep workers, connections and memory.
    """
    yield from _servers()


@pytest.fixture(scope="session")
def start_shared_server() -> Iterator[Callable[..., DataFoldServer]]:
    """The same, for servers that several modules use."""
    yield from _servers()


def _servers() -> Iterator[Callable[..., DataFoldServer]]:
    from tests.support.server import DataFoldServer

    servers: list[DataFoldServer] = []

    def start(name: str, **variables: Any) -> DataFoldServer:
        servers.append(DataFoldServer(name, **variables))
        return servers[-1]

    yield start
    for server in servers:
        server.terminate()
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def datafold_server(start_shared_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    """The server with the default settings that tests share: use names of your own in it."""
    return start_shared_server("shared")


# --- Browser ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of the module's own: while Playwright's synchronous API is open it keeps an event loop
    running in this thread, in which no asynchronous test of another module could run."""
    from tests.support import browser as support

    if support.chromium_path() is None:
        pytest.skip(support.WHY_SKIPPED)
    with support.open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def take_screenshot(request: pytest.FixtureRequest) -> Callable[[Page, str], Path]:
    """Pictures for people: in $DATAFOLD_SCREENSHOTS, by default `.data/screenshots`."""
    from tests.support.browser import screenshot

    folder = Path(os.environ.get("DATAFOLD_SCREENSHOTS", PROJECT / ".data" / "screenshots"))
    return lambda page, name: screenshot(page, folder / str(current_stack()), name)
