"""Properties that hold for every input, and entry points that never break out of the error tree."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.httpsig import (
    PROFILES,
    Limits,
    Request,
    SignatureError,
    SignatureVerificationFailed,
    check_digest,
    content_digest,
    inspect,
    load_public_key,
    normalise_authority,
    parse_accept_signature,
    parse_signatures,
    sf,
    verify,
)
from keys.httpsig.signatures import parse_general
from tests.httpsig import strategies
from tests.httpsig.support import NOW, changed, keys_for, make_request, parse_outcome, signed
from tests.support.examples import examples

STANDARD = PROFILES["standard"]
TIGHT = Limits(components=2, params=2, string_chars=20)


@settings(max_examples=examples(300), deadline=None)
@given(strategies.signature_fields(), st.sampled_from([Limits(), Limits(), Limits(), TIGHT]))
def test_the_short_way_of_parsing_gives_what_the_general_one_gives(
    pair: tuple[str, str], limits: Limits
) -> None:
    signature_input, signature = pair
    request = make_request(fields={"signature-input": signature_input, "signature": signature})
    assert parse_outcome(lambda: parse_signatures(request, limits)) == parse_outcome(
        lambda: parse_general(signature_input, signature, limits)
    )


@settings(max_examples=examples(60), deadline=None)
@given(strategies.DICTIONARIES)
def test_structured_fields_survive_serialisation(members: dict[str, sf.Member]) -> None:
    text = sf.serialize_dictionary(members)
    assert sf.parse_dictionary(text, unique=True) == members
    assert sf.serialize_dictionary(sf.parse_dictionary(text)) == text
    assert sf.parse_list(sf.serialize_list(members.values())) == list(members.values())


@settings(max_examples=examples(60), deadline=None)
@given(
    st.sampled_from(["GET", "POST", "PURGE"]),
    st.from_regex(r"/[!$-~]{0,30}", fullmatch=True),
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(["x-a", "x-b", "accept"]), st.text('abc ,=\t"', max_size=10), max_size=3),
)
def test_what_is_signed_verifies_and_nothing_else_does(
    method: str, target: str, body: bytes, fields: dict[str, str]
) -> None:
    request = make_request(method, target, fields=fields, body=body)
    covered = ["@method", "@target-uri", *fields, *(["content-digest", "content-type"] if body else [])]
    request = signed(request, components=covered)
    assert verify(request, policy=STANDARD, keys_for=keys_for, now=NOW).base
    with pytest.raises(SignatureVerificationFailed):
        verify(changed(request, raw_target=target + "x"), policy=STANDARD, keys_for=keys_for, now=NOW)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 63), st.integers(0, 7))
def test_no_flipped_bit_of_a_signature_verifies(position: int, bit: int) -> None:
    request = signed(make_request())
    (signature,) = parse_signatures(request, Limits())
    raw = bytearray(signature.raw_signature)
    raw[position] ^= 1 << bit
    value = sf.serialize_bare_item(bytes(raw))
    tampered = changed(request, fields={**request.fields, "signature": f"sig1={value}"})
    with pytest.raises(SignatureVerificationFailed):
        verify(tampered, policy=STANDARD, keys_for=keys_for, now=NOW)


@settings(max_examples=examples(40), deadline=None)
@given(st.binary(max_size=200), st.sampled_from([("sha-256",), ("sha-512",), ("sha-256", "sha-512")]))
def test_a_digest_fits_its_body(body: bytes, algorithms: tuple[str, ...]) -> None:
    check_digest(content_digest(body, algorithms), body)
    with pytest.raises(SignatureError):
        check_digest(content_digest(body, algorithms), body + b"x")


ANY_TEXT = st.text(max_size=80) | strategies.SIGNATURE_TEXT
ENTRY_POINTS: dict[str, Callable[[str], Any]] = {
    "item": sf.parse_item,
    "list": sf.parse_list,
    "dictionary": lambda text: sf.parse_dictionary(text, unique=True),
    "accept-signature": parse_accept_signature,
    "content-digest": lambda text: check_digest(text, b"body"),
    "authority": lambda text: normalise_authority(text, "https"),
    "target": lambda text: make_request(raw_target=text),
    "slash target": lambda text: make_request(raw_target="/" + text),
    "method": lambda text: make_request(text),
    "public key": load_public_key,
    "jwk": lambda text: load_public_key({"kty": "OKP", "crv": "Ed25519", "x": text}),
    "rsa jwk": lambda text: load_public_key({"kty": "RSA", "n": text, "e": text}),
    "pem": lambda text: load_public_key(f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----"),
    "field line": lambda text: Request.from_lines(
        method="GET", raw_target="/", scheme="https", lines=[("Host", "a"), (text, text), ("X", text)]
    ),
    "host line": lambda text: Request.from_lines(
        method="GET", raw_target="/", scheme="https", lines=[("Host", text)]
    ),
}


@pytest.mark.parametrize("name", sorted(ENTRY_POINTS))
@settings(max_examples=examples(40), deadline=None)
@given(text=ANY_TEXT)
def test_entry_points_raise_nothing_but_signature_errors(name: str, text: str) -> None:
    with contextlib.suppress(SignatureError):
        ENTRY_POINTS[name](text)


@settings(max_examples=examples(120), deadline=None)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_pair_of_fields_breaks_verification(
    signature_input: str, signature: str, value: str, query: str
) -> None:
    fields = {
        "signature-input": signature_input,
        "signature": signature,
        "x": value,
        "content-digest": value,
        "content-type": value,
    }
    try:
        request = make_request("POST", f"/path?{query}", fields=fields, body=b"{}")
    except SignatureError:
        return
    with pytest.raises(SignatureError):
        verify(request, policy=STANDARD, keys_for=keys_for, now=NOW)
    assert not inspect(request, policy=STANDARD, keys_for=keys_for, now=NOW).verified


@settings(max_examples=examples(80), deadline=None)
@given(strategies.SIGNATURE_TEXT, strategies.SIGNATURE_TEXT, st.text(max_size=30))
def test_no_component_breaks_verification(items: str, params: str, value: str) -> None:
    """Lists that do parse reach the resolvers, the base and the search for a cause."""
    fields = {
        "signature-input": f'sig1=("@method" "@target-uri" {items});created={NOW};keyid="orders"'
        f';nonce="b2Vb0yTq3mJ8aZk1vXc7Lw"{params}',
        "signature": f"sig1=:{'A' * 86}==:",
        "x": value,
        "content-digest": content_digest(b""),
    }
    request = make_request(raw_target="/path?a=1&b=%zz&a=%ff", fields=fields)
    assert not inspect(request, policy=STANDARD, keys_for=keys_for, now=NOW).verified


HOSTILE: dict[str, Callable[[int], str]] = {
    "open lists": lambda size: "sig1=" + "(" * size,
    "open string": lambda size: 'sig1=("' + "a" * size,
    "escapes": lambda size: 'sig1=("' + "\\\\" * (size // 2),
    "parameters": lambda size: "sig1=()" + ";a" * (size // 2),
    "commas": lambda size: "sig1=()" + "," * size,
    "blanks": lambda size: "sig1=(" + " " * size,
    "tabs": lambda size: "sig1=()" + "\t" * size + "x",
    "components": lambda size: "sig1=(" + '"a" ' * (size // 4),
    "colons": lambda size: "sig1=" + ":" * size,
    "digits": lambda size: "sig1=();created=" + "1" * size,
    "labels": lambda size: ", ".join(f"s{number}=()" for number in range(size // 6)),
    "percent": lambda size: 'sig1=%"' + "%c3" * (size // 3),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_fields_cost_time_in_proportion(name: str) -> None:
    """Eight times the text takes no more than some 30 times the time: nothing is quadratic."""
    small, large = (min(_cost(HOSTILE[name](size)) for _ in range(5)) for size in (20_000, 160_000))
    assert large < max(30 * small, 0.02)


def _cost(text: str) -> float:
    limits = Limits(
        signature_input_bytes=10**6, signature_bytes=10**6, signatures=10**6, components=10**6, params=10**6
    )
    request = make_request(fields={"signature-input": text, "signature": text})
    started = time.thread_time()  # what it computes, whatever else the machine does
    with pytest.raises(SignatureError):
        parse_signatures(request, limits)
    return time.thread_time() - started


@pytest.mark.parametrize(
    "component",
    ['"@query-param";name="a{}"', '"x";key="a{}"'],
    ids=["query parameters", "dictionary members"],
)
def test_many_components_out_of_one_long_text_parse_it_once(component: str) -> None:
    names = range(60)
    query = "&".join(f"a{number}=1" for number in range(1000))
    dictionary = ", ".join(f"a{number}=1" for number in range(1000))
    covered = [component.format(number) for number in names]
    policy = replace(STANDARD, required_components=())
    request = signed(make_request(raw_target=f"/?{query}", fields={"x": dictionary}), components=covered)
    started = time.perf_counter()
    verify(request, policy=policy, keys_for=keys_for, now=NOW)
    assert time.perf_counter() - started < 0.5


def test_long_blank_fields_unfold_in_no_time() -> None:
    blank = "a" + " \t" * 100_000 + "b"
    started = time.perf_counter()
    Request.from_lines(method="GET", raw_target="/", scheme="https", lines=[("Host", "a"), ("X", blank)])
    assert time.perf_counter() - started < 0.5


def test_the_memory_of_component_lists_has_an_end() -> None:
    from keys.httpsig.signatures import _MEMO_CHARS, _MEMO_LISTS, _remembered_components

    for number in range(2 * _MEMO_LISTS):
        parse_signatures(
            signed(make_request(fields={f"x-{number}": "1"}), components=[f"x-{number}"]), Limits()
        )
    assert _remembered_components.cache_info().currsize <= _MEMO_LISTS
    before = _remembered_components.cache_info().misses
    names = [f"x-{number}" for number in range(_MEMO_CHARS // 5)]
    parse_signatures(
        signed(make_request(fields=dict.fromkeys(names, "")), components=names), Limits(components=500)
    )
    assert _remembered_components.cache_info().misses == before
