"""Settings come from the environment, are all named in `.env.example`, and nothing fails open."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.python import run_python
from tests.support.stack import PROJECT, read_variables, server_variables

EXAMPLE = PROJECT / ".env.example"
SECRET = "x1-" * 20


def example_variables() -> dict[str, str]:
    """Every variable of `.env.example` with its value, the commented-out ones included."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))


def ask(expression: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Evaluate an expression over the settings `s` in a process with exactly these variables."""
    kept = {name: value for name, value in os.environ.items() if name not in server_variables()}
    return run_python(
        ["-c", f"from project import settings as s; value = {expression}; print(value)"],
        environment={**kept, **variables},
    )


def test_the_example_names_every_variable_and_no_other() -> None:
    read = read_variables(PROJECT / "project/settings.py") | read_variables(PROJECT / "gunicorn.conf.py")
    assert set(example_variables()) == read


def test_every_variable_of_the_example_is_explained() -> None:
    """A comment stands above it, or above the group that it is in."""
    explained = False
    for line in EXAMPLE.read_text().splitlines():
        is_variable = re.match(r"#?[A-Z][A-Z0-9_]*=", line) is not None
        assert not is_variable or explained, line
        explained = bool(line.strip()) and (explained or line.startswith("# "))


def test_the_example_shows_the_defaults() -> None:
    """A server with the example's values has the same settings as one with none."""
    shown = {
        name: value
        for name, value in re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
        if value
    }
    names = sorted(name for name in shown if name not in ("WORKERS", "THREADS"))
    expression = f"{{n: str(getattr(s, n)) for n in {names!r} if hasattr(s, n)}}"
    with_example, without = ask(expression, SECRET_KEY=SECRET, **shown), ask(expression, SECRET_KEY=SECRET)
    assert with_example.returncode == without.returncode == 0, with_example.stderr + without.stderr
    assert with_example.stdout == without.stdout


def test_without_a_secret_key_nothing_starts() -> None:
    result = ask("1")
    assert result.returncode != 0
    assert "SECRET_KEY" in result.stderr


def test_a_short_secret_key_is_refused() -> None:
    assert ask("1", SECRET_KEY="short").returncode != 0


def test_defaults_are_those_of_production() -> None:
    result = ask(
        "s.DEBUG, s.DATAFOLD_DEVELOPMENT, s.ALLOWED_HOSTS, s.DATAFOLD_ENABLE_AUTH, s.DATAFOLD_REQUIRE_AUTH, "
        "s.DATAFOLD_REGISTRATION_POLICY, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_SSL_REDIRECT",
        SECRET_KEY=SECRET,
    )
    assert result.stdout.strip() == "(False, False, [], True, True, 'approval', True, True, True)"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("PORT", "eighty"),
        ("DATAFOLD_REGISTRATION_POLICY", "opne"),
        ("DATAFOLD_DEFAULT_PROFILE", "none"),
        ("DATAFOLD_KEY_LIFETIME_DAYS", "0"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_makes_no_sense_names_its_variable(name: str, value: str) -> None:
    result = ask("1", SECRET_KEY=SECRET, **{name: value})
    assert result.returncode != 0
    assert name in result.stderr


def test_items_of_a_list_stand_without_blanks_and_none_is_empty() -> None:
    """An empty former secret key would let anybody sign sessions."""
    result = ask(
        "s.DATAFOLD_DEFAULT_SCOPES, s.ALLOWED_HOSTS, s.SECRET_KEY_FALLBACKS, s.DATAFOLD_WEBHOOK_PORTS, "
        "s.ACCOUNT_RATE_LIMITS['login']",
        SECRET_KEY=SECRET,
        DATAFOLD_DEFAULT_SCOPES="schemas:read, schemas:write",
        ALLOWED_HOSTS="a.example.com , b.example.com",
        SECRET_KEY_FALLBACKS=f"{SECRET},",
        DATAFOLD_WEBHOOK_PORTS="443, 8443",
        DATAFOLD_LOGIN_RATE="7/hour",
    )
    assert result.stdout.strip() == str(
        (
            ["schemas:read", "schemas:write"],
            ["a.example.com", "b.example.com"],
            [SECRET],
            [443, 8443],
            "7/h/ip",
        )
    )


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    result = ask("s.SECRET_KEY", SECRET_KEY_FILE=str(file))
    assert result.stdout.strip() == SECRET


def test_a_secret_file_that_is_missing_is_an_error() -> None:
    result = ask("1", SECRET_KEY_FILE="/nowhere/secret")
    assert result.returncode != 0
    assert "SECRET_KEY_FILE" in result.stderr


def test_seed_settings_mean_what_they_mean_there() -> None:
    """The names of the client application's Configuration Management, with its values.

    All but DATAFOLD_PRIVATE_KEY: a private key stays with its client, where the SDK's command line reads it.
    """
    result = ask(
        "s.DEBUG, s.HOST, s.PORT, s.DATAFOLD_SERVER_URL, s.DATAFOLD_CLIENT_ID, s.DATAFOLD_ENABLE_AUTH, "
        "s.DATAFOLD_REQUIRE_AUTH, s.SIGNATURE_CACHE_ENABLED, s.SIGNATURE_CACHE_TTL, s.SIGNATURE_CACHE_SIZE, "
        "s.LOG_LEVEL, s.LOG_FORMAT, hasattr(s, 'DATAFOLD_PRIVATE_KEY')",
        SECRET_KEY=SECRET,
        DEBUG="true",
        HOST="0.0.0.0",
        PORT="9000",
        DATAFOLD_SERVER_URL="https://api.datafold.com",
        DATAFOLD_CLIENT_ID="your-production-client-id",
        DATAFOLD_PRIVATE_KEY="your-production-private-key",
        DATAFOLD_ENABLE_AUTH="true",
        DATAFOLD_REQUIRE_AUTH="false",
        SIGNATURE_CACHE_ENABLED="false",
        SIGNATURE_CACHE_TTL="60",
        SIGNATURE_CACHE_SIZE="10",
        LOG_LEVEL="debug",
        LOG_FORMAT="text",
    )
    assert result.stdout.strip() == (
        "(True, '0.0.0.0', 9000, 'https://api.datafold.com', 'your-production-client-id', True, False, False, 60, "
        "10, 'DEBUG', 'text', False)"
    )


def test_a_command_without_settings_says_where_they_come_from() -> None:
    bare = {name: value for name, value in os.environ.items() if name not in server_variables()}
    result = run_python(["manage.py", "list_keys"], environment=bare)
    assert result.returncode == 1
    assert "SECRET_KEY" in result.stderr
    assert ".env.example" in result.stderr
    assert "Traceback" not in result.stderr
