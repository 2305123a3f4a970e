"""The published vectors, read in place: every case of every file behaves as the file says."""

import json
from typing import Any

import pytest

from tests.vectors import default_folder
from tests.vectors.engine import RUNNERS


def _load(name: str) -> Any:
    path = default_folder() / name
    if not path.is_file():
        pytest.skip(f"{path} is not there; set DATAFOLD_VECTORS to the folder of vectors")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(RUNNERS))
def test_every_case_behaves_as_the_file_says(name: str) -> None:
    result = RUNNERS[name](_load(name))
    assert result.failures == []
    assert result.complete


def test_keys_of_the_rfc_load_with_their_published_thumbprints() -> None:
    from keys.httpsig import load_public_key

    for name, key in _load("rfc9421.json")["keys"].items():
        if "public_pem" not in key:
            continue
        loaded = load_public_key(key["public_pem"], key["algorithm"])
        assert loaded.thumbprint == key["jwk_thumbprint_sha256"], name
        assert loaded.pem() == key["public_pem_spki"], name
        assert load_public_key(key["jwk_public"], key["algorithm"]) == loaded, name
        with pytest.raises(Exception, match="private key"):
            load_public_key(key["private_pem"])
        with pytest.raises(Exception, match="private key"):
            load_public_key(key["jwk_private"])
