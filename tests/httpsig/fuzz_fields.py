"""Coverage-guided fuzzing of the whole chain: ``python -m tests.httpsig.fuzz_fields [libFuzzer options]``.

Needs ``atheris`` (not among the requirements: it is built for few platforms). The input is cut at line feeds
into Signature-Input, Signature, target, one field and its name. Anything but a refusal is a finding.
"""

import contextlib
import sys

import atheris  # type: ignore[import-untyped]  # an optional tool

with atheris.instrument_imports(include=["keys.httpsig"]):
    from keys.httpsig import (
        PROFILES,
        Request,
        SignatureError,
        content_digest,
        inspect,
        load_public_key,
        parse_accept_signature,
        verify,
    )
    from tests.httpsig.support import NOW, keys_for

_PARTS = 5
_SIGNATURE = f":{'A' * 86}==:"


def check(data: bytes) -> None:
    parts = data.decode("latin-1").split("\n", _PARTS - 1)
    signature_input, signature, target, value, name = parts + [""] * (_PARTS - len(parts))
    for parse in (parse_accept_signature, load_public_key):
        with contextlib.suppress(SignatureError):
            parse(signature_input)
    with contextlib.suppress(SignatureError):
        Request.from_lines(
            method="GET", raw_target="/", scheme="https", lines=[("Host", target), (name, value)]
        )
    fields = {
        "signature-input": f"sig1={signature_input}",
        "signature": f"sig1={signature or _SIGNATURE}",
        "content-digest": value or content_digest(b"{}"),
        "x": value,
    }
    try:
        request = Request(
            method="POST", raw_target=f"/{target}", scheme="https", authority="a", fields=fields, body=b"{}"
        )
    except SignatureError:
        return
    inspect(request, policy=PROFILES["standard"], keys_for=keys_for, now=NOW)
    try:
        verify(request, policy=PROFILES["standard"], keys_for=keys_for, now=NOW)
    except SignatureError:
        return
    raise AssertionError("a signature was accepted that nobody made")


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
