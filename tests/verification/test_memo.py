"""The memo of signatures that held: what it takes for the same, and how much memory it keeps."""

from __future__ import annotations

import tracemalloc

from keys.memo import SignatureMemo, digest_of


def test_it_knows_a_signature_over_a_base_and_nothing_like_it() -> None:
    memo = SignatureMemo(size=10, ttl=60)
    memo.remember(digest_of(b"signature", b"base"), "thumbprint")
    assert memo.recall(digest_of(b"signature", b"base")) == "thumbprint"
    for signature, base in ((b"signature", b"bass"), (b"signatur", b"ebase"), (b"signatureb", b"ase")):
        assert memo.recall(digest_of(signature, base)) == ""


def test_long_bases_are_not_kept() -> None:
    memo = SignatureMemo(size=1000, ttl=60)
    tracemalloc.start()
    for number in range(1000):
        memo.remember(digest_of(b"s" * 64, b"%d" % number * 10_000), "thumbprint")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
