"""Responses signed on request, verified by an independent implementation over Django's test client."""

from __future__ import annotations

from typing import Any

import pytest
from http_message_signatures import InvalidSignature

from keys.server_keys import current_signer
from tests.server_keys.independent import public_key, verify
from tests.support.client import WireClient

pytestmark = pytest.mark.django_db

PATH = "/api/v1/system/status?x=%41"
USUAL = 'sig1=("@status" "content-digest" "content-type" "@method";req "@target-uri";req);created'


def ask(client: WireClient, accept: str, path: str = PATH, method: str = "GET") -> Any:
    return client.generic(method, path, headers={"Accept-Signature": accept} if accept else {})


def keys() -> dict[str, Any]:
    signer = current_signer()
    return {signer.thumbprint: public_key(signer.jwk)}


def test_nobody_asked() -> None:
    response = WireClient().get(PATH)
    assert "Signature" not in response


def test_a_response_is_signed_as_asked() -> None:
    response = ask(WireClient(), USUAL)
    assert response.status_code == 200
    [result] = verify(
        response,
        method="GET",
        path=PATH,
        keys=keys(),
        require_components=(
            "@status",
            "content-digest",
            "content-type",
            '"@method";req',
            '"@target-uri";req',
        ),
    )
    assert result.parameters["tag"] == "datafold-response"
    assert "Accept-Signature" in response["Vary"]


def test_the_setting_signs_everything(settings: Any) -> None:
    settings.DATAFOLD_SIGN_RESPONSES = True
    response = WireClient().get(PATH)
    assert verify(response, method="GET", path=PATH, keys=keys())


def test_refusals_are_signed_too() -> None:
    response = ask(WireClient(), USUAL, path="/api/v1/auth/me")
    assert response.status_code == 401
    assert verify(response, method="GET", path="/api/v1/auth/me", keys=keys())


def test_another_request_is_not_the_one_that_was_answered() -> None:
    response = ask(WireClient(), USUAL)
    with pytest.raises(InvalidSignature):
        verify(response, method="GET", path="/api/v1/system/status?x=other", keys=keys())
    with pytest.raises(InvalidSignature):
        verify(response, method="POST", path=PATH, keys=keys())


def test_a_changed_body_or_status_shows() -> None:
    response = ask(WireClient(), USUAL)
    content = response.content
    response.content = content + b" "
    with pytest.raises(Exception, match=r"(?i)digest"):
        verify(response, method="GET", path=PATH, keys=keys())
    response.content = content
    response.status_code = 201
    with pytest.raises(InvalidSignature):
        verify(response, method="GET", path=PATH, keys=keys())


def test_label_nonce_and_tag_are_taken_over() -> None:
    response = ask(WireClient(), 'mine=("@status" "content-digest");created;nonce="n-123";tag="my-app"')
    [result] = verify(response, method="GET", path=PATH, keys=keys())
    assert result.label == "mine"
    assert (result.parameters["nonce"], result.parameters["tag"]) == ("n-123", "my-app")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "not a dictionary (",
        'sig1=("@status" "no-such-field")',
        'sig1=("@method")',
        'sig1=("@status");alg="rsa-pss-sha512"',
        'sig1=("@status");keyid="somebody-elses"',
        'sig1=("content-digest" "@authority";req);tag="http-message-signatures-directory"',
        'sig1=("@status");tag="datafold-webhook"',
        "sig1=" + '("@status")' * 2000,
    ],
)
def test_what_cannot_or_must_not_be_signed_goes_out_unsigned(accept: str) -> None:
    response = ask(WireClient(), accept)
    assert response.status_code == 200
    assert "Signature" not in response


def test_without_encryption_keys_responses_go_out_unsigned(settings: Any) -> None:
    settings.DATAFOLD_ENCRYPTION_KEYS = []
    response = ask(WireClient(), USUAL)
    assert response.status_code == 200
    assert "Signature" not in response


def test_a_head_request_has_no_content_to_digest() -> None:
    response = ask(
        WireClient(), 'sig1=("@status" "content-type" "@method";req)', path="/health/live", method="HEAD"
    )
    assert "Content-Digest" not in response
    assert verify(response, method="HEAD", path="/health/live", keys=keys())
