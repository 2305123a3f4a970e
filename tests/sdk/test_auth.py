"""SignatureAuth driven as a generator, without a network."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from typing import Any

import http_sf
import httpx2
import pytest
from datafold_sdk import Credentials, DemandCache, PrivateKey, RotationAuth, SignatureAuth, SigningError
from datafold_sdk.keys import ALGORITHMS
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, MappingKeyResolver, VerifyResult
from http_message_signatures.httpx2 import adapt_message

URL = "https://datafold.example/api/v1/schemas?limit=5"


def signed(auth: SignatureAuth, request: httpx2.Request) -> httpx2.Request:
    request.read()
    return next(auth.auth_flow(request))


def verify(
    request: httpx2.Request, key: PrivateKey, *, key_id: str = "app-1", tag: str = "datafold"
) -> VerifyResult:
    verifier = HTTPMessageVerifier(
        signature_algorithm=ALGORITHMS[key.algorithm],
        key_resolver=MappingKeyResolver(public_keys={key_id: key.public_key}, private_keys={}),
    )
    return verifier.verify(adapt_message(request), expect_tag=tag, body=request.content)[0]


def covered(request: httpx2.Request, label: str = "sig1") -> list[str]:
    members: Any = http_sf.parse(request.headers["Signature-Input"].encode(), tltype="dictionary")
    return [name for name, _ in members[label][0]]


def param(request: httpx2.Request, name: str) -> str:
    found = re.search(rf';{name}="?([^";,]+)', request.headers["Signature-Input"])
    assert found is not None
    return found[1]


def refused(
    request: httpx2.Request, accept: str | None, code: str = "COMPONENT_NOT_COVERED"
) -> httpx2.Response:
    headers = {"Accept-Signature": accept} if accept else {}
    return httpx2.Response(401, headers=headers, json={"error": {"code": code}}, request=request)


def attempts(auth: SignatureAuth, request: httpx2.Request, *answers: httpx2.Response) -> int:
    """How many requests the flow sends for these answers."""
    request.read()
    flow = auth.auth_flow(request)
    next(flow)
    for number, answer in enumerate(answers, start=1):
        try:
            flow.send(answer)
        except StopIteration:
            return number
    raise AssertionError("the flow wants to go on")


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@pytest.mark.parametrize("body", [None, {"name": "ümlaut"}])
def test_signatures_of_every_algorithm_verify(algorithm: str, body: dict[str, Any] | None) -> None:
    key = PrivateKey.generate(algorithm)
    request = signed(SignatureAuth(Credentials("app-1", key)), httpx2.Request("POST", URL, json=body))
    result = verify(request, key)
    assert result.parameters["keyid"] == "app-1"
    assert result.parameters["alg"] == algorithm


@pytest.mark.parametrize(
    ("profile", "body", "expected"),
    [
        ("standard", None, ["@method", "@target-uri"]),
        ("standard", {}, ["@method", "@target-uri", "content-type", "content-digest"]),
        ("strict", None, ["@method", "@target-uri", "@authority"]),
        ("strict", {}, ["@method", "@target-uri", "@authority", "content-type", "content-digest"]),
        ("lenient", None, ["@method", "@target-uri"]),
        ("lenient", {}, ["@method", "@target-uri", "content-digest"]),
    ],
)
def test_each_profile_covers_what_its_server_requires(
    key: PrivateKey, profile: str, body: dict[str, Any] | None, expected: list[str]
) -> None:
    auth = SignatureAuth(Credentials.create(key_id="app-1", private_key=key, profile=profile))
    assert covered(signed(auth, httpx2.Request("POST", URL, json=body))) == expected


def test_the_signature_can_be_recomputed_by_hand(key: PrivateKey) -> None:
    request = httpx2.Request("POST", URL, content=b'{"a":1}', headers={"Content-Type": "application/json"})
    signed(SignatureAuth(Credentials("app-1", key), clock=lambda: 1_700_000_000.9), request)
    params = request.headers["Signature-Input"].removeprefix("sig1=")
    digest = base64.b64encode(hashlib.sha256(b'{"a":1}').digest()).decode()
    base = (
        f'"@method": POST\n"@target-uri": {URL}\n"content-type": application/json\n'
        f'"content-digest": sha-256=:{digest}:\n"@signature-params": {params}'
    )
    signature = base64.b64decode(request.headers["Signature"].removeprefix("sig1=:").removesuffix(":"))
    key.public_key.verify(signature, base.encode())  # type: ignore[call-arg]
    assert ";created=1700000000;" in params


def test_every_request_gets_a_nonce_of_its_own(credentials: Credentials) -> None:
    auth = SignatureAuth(credentials)
    nonces = {param(signed(auth, httpx2.Request("GET", URL)), "nonce") for _ in range(50)}
    assert len(nonces) == 50
    assert all(len(base64.urlsafe_b64decode(nonce)) >= 16 for nonce in nonces)


def test_a_changed_message_no_longer_verifies(key: PrivateKey, credentials: Credentials) -> None:
    request = signed(SignatureAuth(credentials), httpx2.Request("GET", URL))
    request.url = httpx2.URL(URL + "0")
    with pytest.raises(InvalidSignature):
        verify(request, key)


def test_streamed_bodies_are_read_and_covered(key: PrivateKey, credentials: Credentials) -> None:
    request = httpx2.Request("POST", URL, content=iter([b"a", b"b"]), headers={"Content-Type": "text/plain"})
    flow = SignatureAuth(credentials).sync_auth_flow(request)
    assert verify(next(flow), key).body == b"ab"


def test_a_body_without_content_type_is_not_sent_half_covered(credentials: Credentials) -> None:
    with pytest.raises(SigningError, match="Content-Type"):
        signed(SignatureAuth(credentials), httpx2.Request("POST", URL, content=b"x"))


@pytest.mark.parametrize("path", ["/a[1]", "/a|b", "/a?x={1}", "/a^b", "/a\\b"])
def test_a_url_that_servers_read_differently_is_refused(credentials: Credentials, path: str) -> None:
    with pytest.raises(SigningError, match="percent-encoded"):
        signed(SignatureAuth(credentials), httpx2.Request("GET", f"https://[::1]:8000{path}"))


def test_an_ipv6_host_can_be_signed_for(key: PrivateKey, credentials: Credentials) -> None:
    verify(signed(SignatureAuth(credentials), httpx2.Request("GET", "https://[::1]:8000/a")), key)


def test_a_demand_for_more_is_met_once(key: PrivateKey, credentials: Credentials) -> None:
    auth, request = SignatureAuth(credentials), httpx2.Request("GET", URL)
    request.read()
    flow = auth.auth_flow(request)
    first = param(next(flow), "nonce")
    demand = (
        'want=("@method" "@target-uri" "@authority" "@query-param";name="limit");created;nonce="n-1";expires'
    )
    again = flow.send(refused(request, demand))
    assert covered(again, "want") == ["@method", "@target-uri", "@authority", "@query-param"]
    assert param(again, "nonce") == "n-1" != first
    assert int(param(again, "expires")) > int(param(again, "created"))
    verify(again, key)
    with pytest.raises(StopIteration):
        flow.send(refused(request, 'want=("@method" "@path")'))


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        (None, "SIGNATURE_MALFORMED"),
        ('sig1=("@method" "@target-uri");created', "COMPONENT_NOT_COVERED"),
        ('sig1=("@target-uri" "@method");tag="datafold"', "COMPONENT_NOT_COVERED"),
        ('sig1=("@method" "@target-uri" "content-type" "content-digest")', "COMPONENT_NOT_COVERED"),
        ('sig1=("@method");tag="web-bot-auth"', "SIGNATURE_AMBIGUOUS"),
        ('sig1=("@method" "@authority");tag="datafold-new-key"', "SIGNATURE_AMBIGUOUS"),
        ('sig1=("@method" "@authority");keyid="another"', "KEY_UNKNOWN"),
        ('sig1=("@method" "@authority");alg="hmac-sha256"', "ALGORITHM_MISMATCH"),
        ('sig1=("@method" "@status")', "COMPONENT_UNKNOWN"),
        ('sig1=("@method" "@path";req)', "COMPONENT_UNKNOWN"),
        ('sig1=("@method" "x-not-there")', "COMPONENT_NOT_COVERED"),
        ('sig1=("@method" "@query-param";name="absent")', "COMPONENT_NOT_COVERED"),
        ('sig1=("@method" "@made-up")', "COMPONENT_UNKNOWN"),
        ('sig1=("@method" "@path"), sig2=("@method" "@query")', "COMPONENT_NOT_COVERED"),
        ('sig1=("@path" "@path")', "COMPONENT_NOT_COVERED"),
        ('sig1=("@method" "@path");nonce=""', "NONCE_MISSING"),
        ('sig1=("@method" "@path");nonce=?1', "NONCE_MISSING"),
        ("sig1=(", "COMPONENT_NOT_COVERED"),
        ("sig1", "COMPONENT_NOT_COVERED"),
        ("sig1=(1 2)", "COMPONENT_NOT_COVERED"),
        ("sig1=(" + '"a" ' * 5000 + ")", "COMPONENT_NOT_COVERED"),
        ('sig1=("@method" "@authority")', "NONCE_REUSED"),
        ('sig1=("@method" "@authority")', "KEY_REVOKED"),
        ('sig1=("@method" "@authority")', "SIGNATURE_EXPIRED"),
    ],
)
def test_what_cannot_or_must_not_be_met_is_not_tried_again(
    credentials: Credentials, accept: str | None, code: str
) -> None:
    request = httpx2.Request("GET", URL)
    assert attempts(SignatureAuth(credentials), request, refused(request, accept, code)) == 1


@pytest.mark.parametrize(
    "demand", ['sig1=("@path")', 'sig1=("@method";req)', 'sig1=("content-digest";key="sha-256")']
)
def test_a_demand_for_less_never_lowers_the_protection(credentials: Credentials, demand: str) -> None:
    request = httpx2.Request("POST", URL, json={})
    request.read()
    flow = SignatureAuth(credentials).auth_flow(request)
    next(flow)
    with contextlib.suppress(StopIteration):
        flow.send(refused(request, demand))
    assert {"@method", "@target-uri", "content-type"} <= set(covered(request))
    assert '"content-digest" ' in request.headers["Signature-Input"].replace(")", " ")


def test_a_refusal_by_another_origin_is_not_answered_with_a_signature(credentials: Credentials) -> None:
    request = httpx2.Request("GET", URL)
    elsewhere = httpx2.Request("GET", "https://evil.example/")
    answer = refused(elsewhere, 'sig1=("@method" "@authority")')
    assert attempts(SignatureAuth(credentials), request, answer) == 1


def test_other_origins_get_no_signature(credentials: Credentials) -> None:
    auth = SignatureAuth(credentials, origin="https://datafold.example:443")
    assert "Signature" in signed(auth, httpx2.Request("GET", URL)).headers
    assert "Signature" not in signed(auth, httpx2.Request("GET", "https://evil.example/")).headers
    assert "Signature" not in signed(auth, httpx2.Request("GET", "http://datafold.example/")).headers


def test_a_demand_is_remembered_without_its_nonce(credentials: Credentials) -> None:
    auth = SignatureAuth(credentials, demands=DemandCache())
    request = httpx2.Request("GET", URL)
    request.read()
    flow = auth.auth_flow(request)
    next(flow)
    flow.send(refused(request, 'sig1=("@method" "@target-uri" "@authority");nonce="chosen"'))
    with pytest.raises(StopIteration):
        flow.send(httpx2.Response(200, request=request))
    following = signed(auth, httpx2.Request("GET", URL))
    assert "@authority" in covered(following)
    assert param(following, "nonce") != "chosen"
    assert "@authority" not in covered(signed(auth, httpx2.Request("POST", URL)))


def test_a_remembered_demand_that_does_not_fit_is_left_aside(credentials: Credentials) -> None:
    auth = SignatureAuth(credentials, demands=DemandCache())
    request = httpx2.Request("GET", URL, headers={"X-Extra": "1"})
    assert (
        attempts(
            auth,
            request,
            refused(request, 'a=("@method" "x-extra" "@query-param";name="limit")'),
            httpx2.Response(200, request=request),
        )
        == 2
    )
    assert "x-extra" in covered(signed(auth, httpx2.Request("GET", URL, headers={"X-Extra": "2"})), "a")
    assert covered(signed(auth, httpx2.Request("GET", URL))) == ["@method", "@target-uri"]
    other_query = httpx2.Request("GET", URL.replace("limit", "other"), headers={"X-Extra": "2"})
    assert covered(signed(auth, other_query)) == ["@method", "@target-uri"]


def test_demands_are_forgotten_with_time_and_by_number() -> None:
    from datafold_sdk import parse_accept_signature

    demand = parse_accept_signature('sig1=("@method")', tag="datafold")
    assert demand is not None
    now = [0.0]
    cache = DemandCache(ttl=10, max_size=2, clock=lambda: now[0])
    for name in ("a", "b", "c"):
        cache.remember((name,), demand)
    assert (cache.get(("a",)), len(cache)) == (None, 2)
    assert cache.get(("b",)) == demand
    now[0] = 10.0
    assert cache.get(("b",)) is None


def test_a_rotation_is_signed_by_both_keys(key: PrivateKey, credentials: Credentials) -> None:
    new_key = PrivateKey.generate("ecdsa-p256-sha256")
    auth = RotationAuth(credentials, credentials.with_key(new_key))
    request = signed(auth, httpx2.Request("POST", URL, json={"public_key": new_key.public_text}))
    old = verify(request, key)
    new = verify(request, new_key, key_id=new_key.thumbprint, tag="datafold-new-key")
    assert (old.label, new.label) == ("sig1", "sig2")
    assert old.nonce != new.nonce
    assert list(old.covered_components)[:-1] == list(new.covered_components)[:-1]


def test_a_rotation_keeps_both_signatures_when_more_is_asked_for(
    key: PrivateKey, credentials: Credentials
) -> None:
    new_key = PrivateKey.generate()
    auth = RotationAuth(credentials, credentials.with_key(new_key))
    request = httpx2.Request("POST", URL, json={})
    request.read()
    flow = auth.auth_flow(request)
    next(flow)
    flow.send(
        refused(
            request, 'sig2=("@method" "@target-uri" "@authority" "content-type" "content-digest");nonce="n"'
        )
    )
    assert verify(request, key).label == "sig2"
    assert verify(request, new_key, key_id=new_key.thumbprint, tag="datafold-new-key").nonce != "n"


def test_repr_shows_no_private_key(key: PrivateKey, credentials: Credentials) -> None:
    secret = key.key.private_bytes_raw().hex()  # type: ignore[union-attr]
    for shown in (repr(SignatureAuth(credentials)), repr(credentials), str(vars(SignatureAuth(credentials)))):
        assert secret not in shown
