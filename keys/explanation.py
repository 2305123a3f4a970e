"""What a refused signature's `details` say besides the engine's own: the likely mistake, and the lines."""

from __future__ import annotations

from dataclasses import asdict

from django.conf import settings

from keys.directory import ClientRecord
from keys.httpsig import Request, SignatureVerificationFailed, UnverifiedSignature, find_cause, signature_base
from keys.unknown import Budget

MAX_LINE_CHARS = 2048

# The search for the cause tries up to `MAX_CANDIDATES` signatures: for people who are stuck, not for floods.
_searches = Budget(per_second=5, burst=20)


def explain(
    refusal: SignatureVerificationFailed,
    signature: UnverifiedSignature,
    message: Request,
    client: ClientRecord,
) -> None:
    """Add the likely cause to the refusal's details, and the base's lines where they may be shown.

    The base holds nothing that the caller did not send; the setting is for those whose logs or proxies
    see responses but must not see request fields.
    """
    if settings.DATAFOLD_REFUSAL_LINES or client.profile == "lenient":
        refusal.details["lines"] = _with_text(refusal.details["lines"], signature_base(signature, message))
    if not _searches.take():
        return
    cause = find_cause(signature, message, [key.public_key for key in client.keys])
    if cause is not None:
        refusal.message = cause.message
        refusal.details["cause"] = asdict(cause)


def _with_text(lines: list[dict[str, str]], base: bytes) -> list[dict[str, str]]:
    texts = base.decode("ascii").split("\n")
    return [{**line, "line": text[:MAX_LINE_CHARS]} for line, text in zip(lines, texts, strict=True)]
