"""One request from claim to verdict, and what each refusal tells its reader."""

from dataclasses import replace
from typing import Any

import pytest

from keys.httpsig import (
    PROFILES,
    AlgorithmMismatch,
    AlgorithmNotAllowed,
    ComponentNotCovered,
    ComponentUnknown,
    DigestMismatch,
    DigestMissing,
    KeyIdMissing,
    KeyNotFound,
    NonceInvalid,
    NonceMissing,
    PrivateKey,
    RequestMalformed,
    SignatureAmbiguous,
    SignatureError,
    SignatureExpired,
    SignatureMalformed,
    SignatureMissing,
    SignatureTooLarge,
    SignatureVerificationFailed,
    TimestampInFuture,
    TimestampMissing,
    Verified,
    check_coverage,
    check_parameters,
    check_signature,
    nonce_expiry,
    normalise_authority,
    parse_signatures,
    select_signature,
    signature_base,
    verify,
)
from tests.httpsig.support import AUTHORITY, KEYS, NOW, StoredKey, changed, keys_for, make_request, signed

STRICT, STANDARD, LENIENT = (PROFILES[name] for name in ("strict", "standard", "lenient"))
BODY = b'{"name": "orders"}'


def check(request: Any, policy: Any = STANDARD, now: float = NOW, **options: Any) -> Verified[StoredKey]:
    return verify(request, policy=policy, keys_for=keys_for, now=now, **options)


def refused(request: Any, policy: Any = STANDARD, now: float = NOW) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        check(request, policy, now)
    assert caught.value.message
    return caught.value


def test_a_get_and_a_post_verify() -> None:
    for request in (make_request(), make_request("POST", body=BODY)):
        verified = check(signed(request))
        assert verified.key is KEYS[0]
        assert verified.nonce_expires_at == NOW - 10 + 300 + 30
        assert verified.base.endswith(verified.signature.params_text.encode())


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha512"])
def test_every_algorithm_signs_and_verifies(algorithm: str) -> None:
    key = PrivateKey.generate(algorithm)
    again = PrivateKey.from_pkcs8(key.pkcs8(), algorithm)
    request = signed(make_request(), private_key=again, alg=algorithm)
    stored = [StoredKey(key.public_key)]
    assert verify(request, policy=STANDARD, keys_for=lambda _: stored, now=NOW).key is stored[0]


def test_the_second_of_two_keys_may_be_the_one() -> None:
    other = StoredKey(PrivateKey.generate().public_key)
    request = signed(make_request())
    assert verify(request, policy=STANDARD, keys_for=lambda _: [other, *KEYS], now=NOW).key is KEYS[0]


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"raw_target": "/api/v1/schemas?limit=6"},
        {"raw_target": "/api/v1/schemas"},
        {"raw_target": "/api/v1/schemas/?limit=5"},
        {"scheme": "http"},
        {"authority": "other.example.com"},
    ],
)
def test_what_is_covered_cannot_be_changed(change: dict[str, str]) -> None:
    error = refused(changed(signed(make_request()), **change))
    assert isinstance(error, SignatureVerificationFailed)
    assert [line["component"] for line in error.details["lines"]] == [
        '"@method"',
        '"@target-uri"',
        '"@signature-params"',
    ]


def test_an_unsigned_request_and_half_a_signature() -> None:
    assert isinstance(refused(make_request()), SignatureMissing)
    fields = {**signed(make_request()).fields}
    del fields["signature"]
    assert isinstance(refused(changed(make_request(), fields=fields)), SignatureMalformed)


def test_a_clock_that_is_wrong_is_told_by_how_much() -> None:
    late = refused(signed(make_request(), created=NOW - 312))
    assert isinstance(late, SignatureExpired)
    assert "clock is about 312 s behind" in late.message
    assert late.details["age_s"] == 312
    early = refused(signed(make_request(), created=NOW + 3600))
    assert isinstance(early, TimestampInFuture)
    assert "clock is about 3600 s ahead" in early.message
    assert isinstance(refused(signed(make_request(), created=None)), TimestampMissing)


@pytest.mark.parametrize(
    ("profile", "window", "skew"), [("strict", 60, 5), ("standard", 300, 30), ("lenient", 600, 120)]
)
def test_the_window_of_each_profile_ends_where_it_says(profile: str, window: int, skew: int) -> None:
    policy = PROFILES[profile]
    components = ["@method", "@target-uri", "@authority"]
    nonce = "4f9d3c1e-7a5b-4c2d-8e6f-0a1b2c3d4e5f"

    def at(created: int) -> Any:
        return signed(make_request(), components=components, created=created, nonce=nonce)

    check(at(NOW - window), policy)
    check(at(NOW + skew), policy)
    assert isinstance(refused(at(NOW - window - 1), policy), SignatureExpired)
    assert isinstance(refused(at(NOW + skew + 1), policy), TimestampInFuture)


def test_expires_is_honoured() -> None:
    check(signed(make_request(), expires=NOW + 1))
    assert isinstance(refused(signed(make_request(), expires=NOW)), SignatureExpired)
    assert isinstance(refused(signed(make_request(), expires=NOW - 10)), SignatureMalformed)
    assert isinstance(refused(signed(make_request(), expires=NOW + 10**8)), SignatureMalformed)


def test_nonces_by_profile() -> None:
    assert isinstance(refused(signed(make_request(), nonce=None)), NonceMissing)
    check(signed(make_request(), nonce=None), LENIENT)
    post = signed(make_request("POST", body=BODY), nonce=None)
    assert isinstance(refused(post, LENIENT), NonceMissing)
    assert isinstance(refused(signed(make_request(), nonce="short")), NonceInvalid)
    assert isinstance(refused(signed(make_request(), nonce="x" * 129)), NonceInvalid)
    assert isinstance(refused(signed(make_request(), nonce="with blank in it")), NonceInvalid)


@pytest.mark.parametrize(
    ("nonce", "good"),
    [
        ("4f9d3c1e-7a5b-4c2d-8e6f-0a1b2c3d4e5f", True),  # UUID4
        ("9f86d081884c7d659a2feaa0c55ad015", True),  # 128 bits in hex
        ("b2Vb0yTq3mJ8aZk1vXc7Lw", True),  # 128 bits in base64url
        ("b2Vb0yTq3mJ8aZk1vXc7Lw==", True),
        ("7vxw3k9-yb2mq5t8zr1hcd", True),  # 128 bits in base64url that happen to have no capital
        ("7VXW3K9-YB2MQ5T8ZR1HCDNP", True),
        ("9f9f8080884c9f9f9ff8ff8084cfc8f8", True),  # 128 bits in hex, six different digits
        ("9f86d081884c7d659a2feaa0c55ad01", False),  # 124 bits
        ("4f9d3c1e-7a5b-1c2d-8e6f-0a1b2c3d4e5", False),
        ("1700000000123456", False),  # a timestamp
        ("a" * 64, False),
    ],
)
def test_the_strict_profile_wants_nonces_that_nobody_guesses(nonce: str, good: bool) -> None:
    request = signed(make_request(), components=["@method", "@target-uri", "@authority"], nonce=nonce)
    if good:
        check(request, STRICT)
    else:
        assert isinstance(refused(request, STRICT), NonceInvalid)


def test_too_little_coverage_names_what_is_missing() -> None:
    error = refused(signed(make_request(), components=["@method"]))
    assert isinstance(error, ComponentNotCovered)
    assert error.details["missing"] == ['"@target-uri"']
    post = make_request("POST", body=BODY)
    error = refused(signed(post, components=["@method", "@target-uri"]))
    assert error.details["missing"] == ['"content-digest"', '"content-type"']
    by_key = signed(
        post, components=["@method", "@target-uri", '"content-digest";key="sha-256"', "content-type"]
    )
    assert isinstance(refused(by_key), ComponentNotCovered)
    assert isinstance(refused(signed(make_request()), STRICT), ComponentNotCovered)


def test_the_body_is_bound_by_its_digest() -> None:
    request = signed(make_request("POST", body=BODY))
    error = refused(changed(request, body=b'{"name": "ORDERS"}'))
    assert isinstance(error, DigestMismatch)
    assert error.details["algorithm"] == "sha-256"
    fields = {name: value for name, value in request.fields.items() if name != "content-digest"}
    assert isinstance(refused(changed(request, fields=fields)), DigestMissing)


def test_algorithms() -> None:
    assert isinstance(refused(signed(make_request(), alg="hmac-sha256")), AlgorithmNotAllowed)
    assert isinstance(refused(signed(make_request(), alg="rsa-pss-sha512")), AlgorithmMismatch)
    check(signed(make_request(), alg=None))
    only_ecdsa = replace(STANDARD, algorithms=frozenset({"ecdsa-p256-sha256"}))
    assert isinstance(refused(signed(make_request(), alg=None), only_ecdsa), AlgorithmNotAllowed)


def test_keyids() -> None:
    assert isinstance(refused(signed(make_request(), keyid=None)), KeyIdMissing)
    assert isinstance(refused(signed(make_request(), keyid="nobody")), KeyNotFound)


def test_the_tagged_signature_is_chosen_among_several() -> None:
    request = signed(make_request(), label="proxy", tag="web-bot-auth")
    assert check(request).signature.label == "proxy"
    assert check(signed(request, label="mine")).signature.label == "mine"
    two_others = signed(request, label="third", tag="something")
    assert isinstance(refused(two_others), SignatureAmbiguous)
    twice = signed(signed(make_request(), label="a"), label="b")
    assert isinstance(refused(twice), SignatureAmbiguous)
    with pytest.raises(SignatureMissing):
        check(request, replace(STANDARD, tag_required=True))


def test_two_signatures_of_one_message_can_both_be_verified() -> None:
    """Key rotation: the old key and the new one sign the same request."""
    new = PrivateKey.generate()
    request = signed(make_request(), label="old")
    request = signed(request, label="new", tag="datafold-new-key", private_key=new)
    signatures = parse_signatures(request, STANDARD.limits)
    for tag, key in (("datafold", KEYS[0]), ("datafold-new-key", StoredKey(new.public_key))):
        signature = select_signature(signatures, tag, required=True)
        check_parameters(signature, STANDARD, NOW, request.method)
        check_coverage(signature, request, STANDARD)
        assert check_signature(signature, signature_base(signature, request), [key]) is key
        assert nonce_expiry(signature, STANDARD) == NOW + 320


def test_a_counter_signature_covers_another_signature() -> None:
    request = signed(make_request(), label="first", tag="other")
    components = ["@method", "@target-uri", '"signature";key="first"', '"signature-input";key="first"']
    assert check(signed(request, label="second", components=components)).signature.label == "second"
    circular = signed(request, label="second", components=["@method", "@target-uri", "signature"])
    assert isinstance(refused(circular), ComponentUnknown)


def test_limits_come_before_work() -> None:
    many = [f"x-{number}" for number in range(65)]
    fields = dict.fromkeys(many, "1")
    request = signed(make_request(fields=fields), components=["@method", "@target-uri", *many])
    assert isinstance(refused(request), SignatureTooLarge)
    long_field = changed(request, fields={**request.fields, "signature-input": "a" * 8193})
    assert isinstance(refused(long_field), SignatureTooLarge)


@pytest.mark.parametrize(
    ("component", "fields"),
    [
        ('"@status"', {}),
        ('"@method";req', {}),
        ('"@nothing"', {}),
        ('"x-absent"', {}),
        ('"X-Upper"', {"x-upper": "1"}),
        ('"x-a";tr', {"x-a": "1"}),
        ('"x-a";bs', {"x-a": "1"}),
        ('"x-a";sf', {"x-a": "1"}),
        ('"x-a";zz', {"x-a": "1"}),
        ('"@path";sf', {}),
        ('"@query-param";name="limit2"', {}),
        ('"@signature-params"', {}),
    ],
)
def test_a_component_that_cannot_be_resolved_is_refused_by_name(
    component: str, fields: dict[str, str]
) -> None:
    request = signed(make_request(fields=fields))
    text = request.fields["signature-input"].replace('"@target-uri"', f'"@target-uri" {component}')
    error = refused(changed(request, fields={**request.fields, "signature-input": text}))
    assert isinstance(error, ComponentUnknown)
    assert error.details["component"] == component


def test_a_parameter_that_comes_twice_is_not_covered_by_name() -> None:
    named = ["@method", "@target-uri", '"@query-param";name="a"']
    check(signed(make_request(raw_target="/x?a=1&b=2"), components=named))
    twice = signed(make_request(raw_target="/x?a=1&b=2"), components=named)
    assert isinstance(refused(changed(twice, raw_target="/x?a=1&a=2")), ComponentUnknown)


@pytest.mark.parametrize("value", ["caf\xe9", "a\nb", "a\x00b", "a\x7f", "line\r\nx: y"])
def test_a_covered_value_that_no_base_may_hold_is_refused(value: str) -> None:
    request = signed(
        make_request(fields={"x-note": "plain"}), components=["@method", "@target-uri", "x-note"]
    )
    error = refused(changed(request, fields={**request.fields, "x-note": value}))
    assert isinstance(error, ComponentUnknown)
    assert error.details["component"] == '"x-note"'


def test_a_tab_inside_a_covered_value_is_allowed() -> None:
    request = make_request(fields={"x-note": "a\tb"})
    check(signed(request, components=["@method", "@target-uri", "x-note"]))


@pytest.mark.parametrize(
    "target", ["/a b", "/a#b", "/caf\xe9", "", "a", "*", "/a\n", "ftp//x", "https://evil.example/"]
)
def test_targets_that_no_server_should_pass_on(target: str) -> None:
    with pytest.raises(RequestMalformed):
        make_request(raw_target=target)


def test_absolute_form_is_the_same_resource() -> None:
    request = signed(make_request())
    check(changed(request, raw_target=f"https://{AUTHORITY}/api/v1/schemas?limit=5"))
    check(changed(request, raw_target=f"HTTPS://{AUTHORITY.upper()}:443/api/v1/schemas?limit=5"))


@pytest.mark.parametrize(
    ("host", "scheme", "authority"),
    [
        ("Example.COM", "https", "example.com"),
        ("example.com:443", "https", "example.com"),
        ("example.com:80", "https", "example.com:80"),
        ("example.com:", "https", "example.com"),
        ("[2001:DB8::1]:8443", "https", "[2001:db8::1]:8443"),
    ],
)
def test_authorities_are_normalised(host: str, scheme: str, authority: str) -> None:
    assert normalise_authority(host, scheme) == authority


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "user@example.com",
        "example.com:99999",
        "example.com:0443",
        "b\xfccher.example",
        "a/b",
        "a\n",
    ],
)
def test_hosts_that_are_no_hosts_are_refused(host: str) -> None:
    with pytest.raises(RequestMalformed):
        normalise_authority(host, "https")
