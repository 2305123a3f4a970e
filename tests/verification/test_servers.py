"""What each application server that we support hands over of the same bytes, and what becomes of it."""

from __future__ import annotations

import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import RawAnswer, raw_connection
from tests.verification.server_clients import add_clients

WORKERS = ("datafold", "gthread", "sync")
PATH = "/api/v1/auth/me"

pytestmark = pytest.mark.one_stack
Lines = Sequence[tuple[str, str]]


@pytest.fixture(scope="module", params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(
    worker: str, request: pytest.FixtureRequest, start_server: Callable[..., DataFoldServer]
) -> DataFoldServer:
    if worker == "datafold":
        return request.getfixturevalue("datafold_server")  # type: ignore[no-any-return]
    return start_server(f"worker-{worker}", GUNICORN_CMD_ARGS=f"--worker-class={worker}")


@pytest.fixture(scope="module")
def signer(server: DataFoldServer) -> Signer:
    return add_clients(server, "field-lines")["field-lines"]


class Signed:
    """A request whose base is written out by hand, line by line."""

    def __init__(self, server: DataFoldServer, signer: Signer, *, target: str = PATH, **covered: str) -> None:
        """`covered`: values by component; "_" for "-", and what follows "__" is a parameter."""
        self._server, self._target = server, target
        values = {
            '"@method"': "GET",
            '"@target-uri"': server.base_url + target,
            **{_component(name): value for name, value in covered.items()},
        }
        params = f'({" ".join(values)});created={int(time.time())};keyid="{signer.key_id}"'
        params += f';nonce="{secrets.token_hex(16)}"'
        lines = [f"{component}: {value}" for component, value in values.items()]
        base = "\n".join([*lines, f'"@signature-params": {params}']).encode()
        signature = b64encode(signer.private_key.sign(base)).decode()
        self._own = [("Signature-Input", f"sig1={params}"), ("Signature", f"sig1=:{signature}:")]

    def send(self, lines: Lines = (), *, target: str = "") -> RawAnswer:
        host = self._server.base_url.removeprefix("http://")
        fields = [("Host", host), ("Connection", "close"), *lines, *self._own]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        with raw_connection(self._server.port) as connection:
            connection.send(f"GET {target or self._target} HTTP/1.1\r\n{head}\r\n")
            return connection.read_answer()


def _component(name: str) -> str:
    plain, _, parameter = name.partition("__")
    return f'"{plain.replace("_", "-")}"' + (f";{parameter}" if parameter else "")


def has_lines(worker: str) -> bool:
    return worker == "datafold"


@pytest.mark.parametrize(
    "target",
    [
        f"{PATH}?q=%2f&e", f"{PATH}?", f"{PATH}?q=a%2Bb+c%20d", f"{PATH}/", f"{PATH}?/../%7Eu//x", "/api/v1/auth/%6De",
    ],
)  # fmt: skip
def test_the_target_counts_as_it_stood_on_the_wire(
    server: DataFoldServer, signer: Signer, target: str
) -> None:
    assert Signed(server, signer, target=target).send().status == 200


def test_the_absolute_form_is_the_same_target(server: DataFoldServer, signer: Signer) -> None:
    signed = Signed(server, signer)
    assert signed.send(target=server.base_url + PATH).status == 200


def test_a_field_that_comes_once_counts_as_it_is(server: DataFoldServer, signer: Signer) -> None:
    signed = Signed(server, signer, x_list="a,b,  c")
    assert signed.send([("X-List", " a,b,  c ")]).status == 200


def test_the_lines_of_a_field_are_joined_as_the_rfc_says(
    server: DataFoldServer, signer: Signer, worker: str
) -> None:
    answer = Signed(server, signer, x_list="a, b").send([("X-List", "a"), ("x-list", "b")])
    if has_lines(worker):
        assert answer.status == 200, answer.content
        lines = [("X-List", "a"), ("Accept", "*/*"), ("X-LIST", " b,c"), ("X-List", "d")]
        assert Signed(server, signer, x_list="a, b,c, d").send(lines).status == 200
    else:
        assert answer.error_code() == "SIGNATURE_VERIFICATION_FAILED"
        assert b"send it on one line" in answer.content


def test_what_an_ordinary_server_makes_of_them_is_not_what_was_signed(
    server: DataFoldServer, signer: Signer, worker: str
) -> None:
    answer = Signed(server, signer, x_list="a,b").send([("X-List", "a"), ("X-List", "b")])
    assert (answer.status == 401) is has_lines(worker)


BINARY = {"x_list__bs": ":YQ==:, :YiwgYw==:"}


def test_lines_can_be_told_apart(server: DataFoldServer, signer: Signer, worker: str) -> None:
    answer = Signed(server, signer, **BINARY).send([("X-List", "a"), ("X-List", "b, c")])
    if has_lines(worker):
        assert answer.status == 200, answer.content
    else:
        assert answer.error_code() == "COMPONENT_UNKNOWN"
        assert b"separate lines" in answer.content


@pytest.mark.parametrize("lines", [[("X-List", "a, b, c")], [("X-List", "a, b"), ("X-List", "c")], []])
def test_lines_that_were_joined_on_the_way_do_not_hold(
    server: DataFoldServer, signer: Signer, lines: Lines
) -> None:
    assert Signed(server, signer, **BINARY).send(lines).status == 401


def test_a_field_with_an_underscore_is_another_field(server: DataFoldServer, signer: Signer) -> None:
    signed = Signed(server, signer, x_list="a")
    assert signed.send([("X_List", "a")]).error_code() == "COMPONENT_UNKNOWN"
    assert Signed(server, signer, x_list="a").send([("X-List", "a"), ("X_List", "b")]).status == 200


@pytest.mark.parametrize(
    "lines", [[("Host", "other.example")], [("Content-Length", "0"), ("Transfer-Encoding", "chunked")]]
)
def test_what_can_be_read_in_two_ways_is_refused(
    server: DataFoldServer, signer: Signer, lines: Lines
) -> None:
    answer: Any = Signed(server, signer).send(lines)
    assert answer.status in (400, 401)
