"""The targets of `make fuzz` do what they are for, without the fuzzer."""

from __future__ import annotations

import pytest

from tests.fuzz import targets
from tests.fuzz.seeds import SEEDS, dictionary
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_target_begins_with_breaks_nothing(name: str) -> None:
    assert SEEDS[name]
    for seed in SEEDS[name]:
        TARGETS[name](seed)
        TARGETS[name](seed[: len(seed) // 2])


def test_a_target_tells_a_signature_that_should_not_have_been_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(targets, "verify", lambda *_, **__: None)
    with pytest.raises(AssertionError, match="nobody made"):
        TARGETS["request"](SEEDS["request"][0])


def test_the_words_are_in_libfuzzers_format() -> None:
    assert all(line.startswith('"\\x') and line.endswith('"') for line in dictionary().splitlines())
