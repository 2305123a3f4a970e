"""What verification would say about a request that somebody shows, without doing anything with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from keys.directory import ClientRecord, KeyRecord, read_record
from keys.errors import KeysError
from keys.httpsig import (
    PROFILES,
    Check,
    Inspection,
    Policy,
    Request,
    SignatureError,
    inspect,
    parse_signatures,
    select_signature,
)
from keys.standing import check_standing
from project.proxies import public_origins

_ABSOLUTE = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class InspectedMessage:
    """A request as it was shown, or why it is none."""

    request: Request | None
    refusal: SignatureError | None = None


@dataclass(frozen=True, slots=True)
class Inspected:
    """Every check in order. `client` is the one that the keyid names; not proven to be the signer."""

    inspection: Inspection[KeyRecord]
    checks: list[Check]
    client: ClientRecord | None
    profile: str

    @property
    def verified(self) -> bool:
        return all(check.ok for check in self.checks if check.name != "nonce-fresh")


def message_from_text(raw: bytes, *, scheme: str | None, default_scheme: str) -> InspectedMessage:
    """A request from its text: request line, field lines, an empty line, the body. LF is taken for CRLF.

    Of what `curl --verbose` shows only the lines count that it sent: those that begin with ">".
    """
    if raw.lstrip().startswith((b"* ", b"> ")):
        raw = b"\n".join(re.findall(rb"^> ?(.*?)\r?$", raw, re.MULTILINE))
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator:
        head, _, body = raw.partition(b"\n\n")
    first, *others = head.decode("latin-1").lstrip("\r\n").replace("\r\n", "\n").split("\n")
    method, _, rest = first.partition(" ")
    url = rest.rpartition(" ")[0] if re.search(r" HTTP/[0-9.]+\s*\Z", rest) else rest
    pairs = (line.partition(":")[::2] for line in others if line.strip())
    lines = [(name, value.strip(" \t")) for name, value in pairs]
    return message_from_parts(
        method=method, url=url.strip(), lines=lines, body=body, scheme=scheme, default_scheme=default_scheme
    )


def message_from_parts(
    *,
    method: str,
    url: str,
    lines: Sequence[tuple[str, str]],
    body: bytes,
    scheme: str | None,
    default_scheme: str,
) -> InspectedMessage:
    """A request from its parts.

    Args:
        url: absolute, or a request target.
        scheme: "http" or "https", if it is known; else the URL's, else that of the public origin which
            the Host names, else `default_scheme`.
    """
    lines = list(lines)
    absolute = _ABSOLUTE.fullmatch(url)
    if absolute is not None:
        scheme = scheme or absolute[1].lower()
        url = absolute[3] if absolute[3].startswith("/") else f"/{absolute[3]}"
        if not any(name.lower() == "host" for name, _ in lines):
            lines.append(("Host", absolute[2]))
    host = next((value for name, value in lines if name.lower() == "host"), "")
    scheme = scheme or public_origins().get(host.lower()) or default_scheme
    try:
        return InspectedMessage(
            Request.from_lines(method=method, raw_target=url, scheme=scheme, lines=lines, body=body)
        )
    except SignatureError as refusal:
        return InspectedMessage(None, refusal)


def inspect_message(message: InspectedMessage, *, now: float) -> Inspected:
    """Every check on the request. The state of client and key is shown only where all else holds:
    then whoever asks has just seen a fresh signature by that key."""
    if message.request is None:
        return Inspected(Inspection(), [_failed("message", message.refusal)], None, "standard")
    client = _claimed_client(message.request)
    policy = _policy(client)
    inspection = inspect(
        message.request, policy=policy, keys_for=lambda _: client.keys if client else (), now=now
    )
    checks = [Check("message", True, "A well-formed request."), *inspection.checks]
    checks.append(_standing(inspection, client, now))
    checks.append(Check("nonce-fresh", None, "Not looked at: an inspection spends no nonce."))
    return Inspected(inspection, checks, client, policy.name)


def _claimed_client(request: Request) -> ClientRecord | None:
    try:
        signature = select_signature(parse_signatures(request, PROFILES["standard"].limits))
    except SignatureError:
        return None
    return read_record(signature.keyid) if signature.keyid else None


def _policy(client: ClientRecord | None) -> Policy:
    policy = PROFILES[client.profile if client else "standard"]
    origins = public_origins()
    return replace(policy, allowed_authorities=frozenset(origins)) if origins else policy


def _standing(inspection: Inspection[KeyRecord], client: ClientRecord | None, now: float) -> Check:
    key = inspection.key
    if client is None or key is None or not inspection.verified:
        return Check("standing", None, "Told only to whoever shows a request that passes every other check.")
    try:
        check_standing(client, key, address="", now=now, networks=False)
    except KeysError as refusal:
        return _failed("standing", refusal)
    return Check("standing", True, f"The key {key.thumbprint[:8]} and its client may be used.")


def _failed(name: str, refusal: SignatureError | KeysError | None) -> Check:
    if refusal is None:
        return Check(name, False, "There is no request.")
    return Check(name, False, refusal.message, refusal.code, dict(refusal.details))
