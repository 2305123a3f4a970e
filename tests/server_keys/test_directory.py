"""The key directory, as draft-meunier-webbotauth-httpsig-protocol-02 wants it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.audit import Actor
from keys import server_keys
from keys.httpsig import load_public_key
from keys.models import ServerKey
from tests.server_keys.independent import public_key, verify
from tests.support.client import WireClient

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.server_keys.urls")]

PATH = "/.well-known/http-message-signatures-directory"


def test_media_type_and_members() -> None:
    response = WireClient().get(PATH)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/http-message-signatures-directory+json"
    assert "max-age" in response["Cache-Control"]
    [jwk] = response.json()["keys"]
    assert jwk["kid"] == load_public_key(jwk).thumbprint
    assert (jwk["use"], jwk["alg"], jwk["kty"]) == ("sig", "ed25519", "OKP")
    assert "d" not in jwk
    assert jwk["nbf"] <= time.time()


def test_every_key_signs_the_directory() -> None:
    server_keys.current_signer()
    server_keys.rotate(actor=Actor.system("tests"))
    response = WireClient().get(PATH)
    keys = {jwk["kid"]: public_key(jwk) for jwk in response.json()["keys"]}
    assert len(keys) == 2
    results = verify(
        response,
        method="GET",
        path=PATH,
        keys=keys,
        expect_tag="http-message-signatures-directory",
        require_components=('"@authority";req', "content-digest"),
    )
    assert {result.parameters["keyid"] for result in results} == set(keys)
    for result in results:
        assert result.parameters["expires"] > result.parameters["created"]


def test_no_signature_outlives_the_publication_of_its_key() -> None:
    old = server_keys.current_signer()
    server_keys.rotate(actor=Actor.system("tests"))
    soon = timezone.now().replace(microsecond=0) + timedelta(minutes=7)
    ServerKey.objects.filter(thumbprint=old.thumbprint).update(published_until=soon)
    [line] = [
        each for each in WireClient().get(PATH)["Signature-Input"].split(", ") if old.thumbprint in each
    ]
    assert f";expires={int(soon.timestamp())};" in line


def test_anybody_may_ask_often(django_assert_num_queries: Any) -> None:
    """Neither the database nor the encryption keys are asked each time."""
    first = WireClient().get(PATH)
    with django_assert_num_queries(0):
        assert WireClient().get(PATH).content == first.content


def test_asking_for_a_signature_does_not_add_one() -> None:
    response = WireClient().get(PATH, headers={"Accept-Signature": 'sig9=("@status")'})
    assert "sig9" not in response["Signature-Input"]


def test_without_encryption_keys_it_says_what_to_do(settings: Any) -> None:
    settings.DATAFOLD_ENCRYPTION_KEYS = []
    response = WireClient().get(PATH)
    assert response.status_code == 503
    assert "DATAFOLD_ENCRYPTION_KEYS" in response.json()["error"]["message"]


def test_a_retired_key_leaves_when_nothing_it_signed_is_fresh() -> None:
    old = server_keys.current_signer()
    server_keys.rotate(actor=Actor.system("tests"))
    row = ServerKey.objects.get(thumbprint=old.thumbprint)
    assert row.published_until is not None
    assert len(WireClient().get(PATH).json()["keys"]) == 2
    assert server_keys.forget_retired(row.published_until - timedelta(seconds=1)) == {"forgotten": 0}
    assert server_keys.forget_retired(row.published_until) == {"forgotten": 1}
    [jwk] = WireClient().get(PATH).json()["keys"]
    assert jwk["kid"] != old.thumbprint
    assert server_keys.vouched_for(old.thumbprint)
