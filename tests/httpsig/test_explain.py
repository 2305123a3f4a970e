"""Helping the person whose request was refused."""

from typing import Any

import pytest

from keys.httpsig import (
    PROFILES,
    Inspection,
    PrivateKey,
    Request,
    find_cause,
    inspect,
    line_digests,
    parse_signatures,
    select_signature,
    sf,
    signature_base,
)
from tests.httpsig.support import (
    KEYS,
    NOW,
    PRIVATE_KEY,
    StoredKey,
    changed,
    keys_for,
    make_request,
    signed,
)

STANDARD = PROFILES["standard"]


def look(request: Request) -> Inspection[StoredKey]:
    return inspect(request, policy=STANDARD, keys_for=keys_for, now=NOW)


def test_a_good_request_passes_every_check() -> None:
    found = look(signed(make_request("POST", body=b"{}")))
    assert found.verified
    assert found.key is KEYS[0]
    assert [check.name for check in found.checks] == [
        "parse", "select", "host", "keyid", "algorithm", "time", "nonce", "coverage", "key", "digest", "base",
        "signature",
    ]  # fmt: skip
    assert [line["line"] for line in found.lines] == (found.base or "").split("\n")
    assert found.as_dict()["signature"]["params"]["keyid"] == "orders"


def test_all_failures_are_listed_and_not_the_first_only() -> None:
    request = signed(make_request(), components=["@method"], created=NOW - 3600, nonce=None)
    found = look(changed(request, method="PUT"))
    assert not found.verified
    failed = {check.name: check.code for check in found.checks if check.ok is False}
    assert failed == {
        "time": "SIGNATURE_EXPIRED",
        "nonce": "NONCE_MISSING",
        "coverage": "COMPONENT_NOT_COVERED",
        "signature": "SIGNATURE_VERIFICATION_FAILED",
    }


def test_what_cannot_be_parsed_or_found_stops_early() -> None:
    assert [check.code for check in look(make_request()).checks] == ["SIGNATURE_MISSING"]
    found = look(signed(make_request(), keyid="nobody"))
    assert [(check.name, check.ok) for check in found.checks if not check.ok] == [
        ("key", False),
        ("signature", None),
    ]


def cause_of(seen: Request, key: PrivateKey = PRIVATE_KEY) -> str | None:
    signature = select_signature(parse_signatures(seen, STANDARD.limits))
    cause = find_cause(signature, seen, [key.public_key])
    return None if cause is None else cause.code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scheme": "http"}, "OTHER_ORIGIN"),
        ({"authority": "api.example.com:8443"}, "OTHER_ORIGIN"),
        ({"authority": "internal", "fields": {"x-forwarded-host": "api.example.com"}}, "OTHER_ORIGIN"),
        ({"raw_target": "/api/v1/schemas/a%2Fb/?limit=5&q=a+b"}, "TRAILING_SLASH"),
        ({"raw_target": "/api/v1/schemas/a/b?limit=5&q=a+b"}, None),
        ({"raw_target": "/api/v1/schemas/a%2Fb?limit=5&q=a%20b"}, "PERCENT_ENCODING"),
        ({"raw_target": "/api/v1/schemas/a%2Fb?q=a+b&limit=5"}, "QUERY_ORDER"),
        ({"method": "HEAD"}, "OTHER_METHOD"),
        ({"fields": {"accept": "text/html,text/plain"}}, "FIELD_COMBINED"),
        ({"fields": {"accept": "other"}}, None),
    ],
)
def test_the_usual_mistakes_are_named(change: dict[str, Any], code: str | None) -> None:
    request = make_request(
        raw_target="/api/v1/schemas/a%2Fb?limit=5&q=a+b", fields={"accept": "text/html, text/plain"}
    )
    sent = signed(request, components=["@method", "@target-uri", "@authority", "accept"])
    fields = {**sent.fields, **change.pop("fields", {})}
    assert cause_of(changed(sent, **change, fields=fields)) == code


@pytest.mark.parametrize(
    ("port", "fields"), [("8000", {}), ("8443", {}), ("49153", {"x-forwarded-port": "49153"})]
)
def test_a_port_that_a_proxy_left_out_of_the_host_is_named(port: str, fields: dict[str, str]) -> None:
    sent = signed(make_request(authority=f"api.example.com:{port}"))
    seen = changed(
        sent, authority="api.example.com", fields={**sent.fields, **fields, "host": "api.example.com"}
    )
    assert cause_of(seen) == "OTHER_ORIGIN"


def test_a_query_in_the_order_of_its_names_is_named() -> None:
    """As some libraries sign it, and as caches rewrite it."""
    sent = signed(make_request(raw_target="/a?a=1&b=2&c=3&d=4&e=5"))
    assert cause_of(changed(sent, raw_target="/a?d=4&a=1&e=5&c=3&b=2")) == "QUERY_ORDER"


def test_a_digest_that_was_rewritten_is_named() -> None:
    sent = signed(make_request("POST", body=b"{}"))
    fields = {**sent.fields, "content-digest": "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"}
    assert cause_of(changed(sent, fields=fields)) == "OTHER_DIGEST"


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        (lambda base: base + b"\n", "FINAL_NEWLINE"),
        (lambda base: base.replace(b"\n", b"\r\n"), "CRLF"),
        (lambda base: base.replace(b'"@signature-params": ', b'"@signature-params": sig1='), "LABEL_IN_BASE"),
        (lambda base: base.rpartition(b"\n")[0], "PARAMS_LINE_MISSING"),
        (
            lambda base: base.replace(b'"@target-uri": https://api.example.com', b'"@target-uri": '),
            "TARGET_NOT_ABSOLUTE",
        ),
        (
            lambda base: base.replace(b";created=1699999990", b"").replace(
                b';alg="ed25519"', b';alg="ed25519";created=1699999990'
            ),
            None,
        ),
        (lambda base: _params_sorted(base), "PARAMS_ORDER"),
    ],
)
def test_a_base_that_was_built_wrongly_is_named(alter: Any, code: str) -> None:
    sent = signed(make_request())
    signature = select_signature(parse_signatures(sent, STANDARD.limits))
    value = sf.serialize_bare_item(PRIVATE_KEY.sign(alter(signature_base(signature, sent))))
    assert cause_of(changed(sent, fields={**sent.fields, "signature": f"sig1={value}"})) == code


def _params_sorted(base: bytes) -> bytes:
    head, end, params = base.rpartition(b")")
    return head + end + b";" + b";".join(sorted(params.removeprefix(b";").split(b";")))


def test_a_server_on_this_machine_has_several_names() -> None:
    sent = signed(make_request(authority="localhost:8000"))
    assert cause_of(changed(sent, authority="127.0.0.1:8000")) == "OTHER_ORIGIN"


def test_a_signature_of_another_key_has_no_cause_to_show() -> None:
    assert cause_of(signed(make_request()), PrivateKey.generate()) is None


def test_lines_are_named_by_their_component_even_with_parameters() -> None:
    base = b'"@query-param";name="a: b": x\n"x-a";key="q": 1: 2\n"@signature-params": ("a");created=1'
    assert [line["component"] for line in line_digests(base)] == [
        '"@query-param";name="a: b"',
        '"x-a";key="q"',
        '"@signature-params"',
    ]
