"""Whatever the other side sends: no exception but this package's, and no signature over less."""

from __future__ import annotations

from typing import Any

import http_sf
import httpx2
from datafold_sdk import (
    Credentials,
    PrivateKey,
    ServerKeys,
    SignatureAuth,
    VerificationError,
    parse_accept_signature,
    verify_receipt,
    verify_webhook,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples

KEY = PrivateKey.generate()
KEYS = ServerKeys.from_jwks({"keys": [KEY.public_jwk]})
NAMES = st.sampled_from(
    [
        "@method",
        "@target-uri",
        "@authority",
        "@query",
        "@query-param",
        "@status",
        "content-type",
        "content-digest",
        "x",
    ]
)
VALUES = st.sampled_from(["?1", "?0", "1", "1.5", "tok", '"name"', '"a b"', ":YWI=:", "@1", "-1"])
PARAMS = st.dictionaries(
    st.sampled_from(
        ["name", "key", "sf", "bs", "tr", "req", "created", "nonce", "tag", "alg", "keyid", "expires"]
    ),
    VALUES,
    max_size=3,
).map(lambda params: "".join(f";{name}={value}" for name, value in params.items()))
COMPONENTS = st.tuples(NAMES, PARAMS).map(lambda pair: f'"{pair[0]}"{pair[1]}')
MEMBERS = st.tuples(st.lists(COMPONENTS, max_size=5).map(" ".join), PARAMS).map(
    lambda pair: f"sig1=({pair[0]}){pair[1]}"
)
FIELDS = MEMBERS | st.text(max_size=60) | st.text(alphabet='sig1=();", @method', max_size=40)


@settings(max_examples=examples(75), deadline=None)
@given(FIELDS)
def test_no_demand_breaks_the_client_or_lowers_what_it_covers(field: str) -> None:
    parse_accept_signature(field, tag="datafold")
    request = httpx2.Request("POST", "https://datafold.example/x?name=1", json={})
    request.read()
    flow = SignatureAuth(Credentials("app-1", KEY)).auth_flow(request)
    next(flow)
    headers = [(b"Accept-Signature", field.encode("utf-8", "replace"))]
    answer = httpx2.Response(401, headers=headers, content=b"", request=request)
    try:
        again = flow.send(answer)
    except StopIteration:
        return
    members: Any = http_sf.parse(again.headers["Signature-Input"].encode(), tltype="dictionary")
    [(components, params)] = members.values()
    plain = {name for name, flags in components if not flags}
    assert {"@method", "@target-uri", "content-type", "content-digest"} <= plain
    assert params["tag"] == "datafold"


@settings(max_examples=examples(50), deadline=None)
@given(FIELDS, st.text(max_size=40), st.binary(max_size=40))
def test_no_webhook_is_more_than_refused(signature_input: str, signature: str, body: bytes) -> None:
    try:
        verify_webhook(
            method="POST",
            url="https://receiver.example/hook",
            headers={"Signature-Input": signature_input, "Signature": signature},
            body=body,
            keys=KEYS,
        )
    except VerificationError:
        return
    raise AssertionError("nothing was signed")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["request", "key", "jwk", "signature_base", "body", "content", "data", "signature", "label"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=examples(50), deadline=None)
@given(st.dictionaries(st.sampled_from(["request", "key", "content", "data", "format", "schema"]), JSON))
def test_no_receipt_is_more_than_refused(receipt: dict[str, Any]) -> None:
    assert not verify_receipt(receipt).valid
