"""The application server's own settings, and that it refuses to serve on risky ones."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.support.python import run_python
from tests.support.services import free_port
from tests.support.stack import server_variables

SECRET = "x1-" * 20


def gunicorn(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in server_variables()}
    return run_python(
        ["-m", "gunicorn", "-c", "gunicorn.conf.py", *arguments, "project.wsgi:application"],
        environment={**kept, "SECRET_KEY": SECRET, "PORT": str(free_port()), **variables},
        seconds=60,
    )


@pytest.mark.parametrize(
    ("variables", "check"),
    [
        ({"DATAFOLD_ENABLE_AUTH": "false"}, "datafold.E001"),
        ({"DEBUG": "true"}, "datafold.E002"),
        ({"ALLOWED_HOSTS": "*"}, "datafold.E004"),
    ],
)
def test_it_does_not_serve_on_settings_that_the_checks_refuse(variables: dict[str, str], check: str) -> None:
    result = gunicorn(**variables)
    assert result.returncode != 0
    assert check in result.stderr


def test_no_address_is_trusted_to_forward_and_nothing_is_mapped() -> None:
    settings = dict(
        line.split(" = ", 1)
        for line in gunicorn("--print-config").stdout.replace("  ", " ").splitlines()
        if " = " in line
    )
    printed = {name.strip(): value.strip() for name, value in settings.items()}
    assert printed["forwarded_allow_ips"] == "[]"
    assert printed["secure_scheme_headers"] == "{}"
    assert printed["forwarder_headers"] == "[]"
    assert printed["header_map"] == "drop"
    assert printed["control_socket_disable"] == "True"
    assert printed["accesslog"] == "None"
