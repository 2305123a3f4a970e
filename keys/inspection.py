"""What verification would say about a request that somebody shows, without doing anything with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from keys.directory import ClientRecord, KeyRecord, read_record
from keys.errors import AuthorityNotAllowed, KeysError
from keys.forward_auth import is_forwarded_authority
from keys.httpsig import (
    PROFILES,
    Check,
    Inspection,
    Request,
    SignatureError,
    inspect,
    normalise_authority,
    parse_signatures,
    select_signature,
)
from keys.standing import check_standing
from keys.wire import judged_origin

_ABSOLUTE = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reached:
    """How whoever asks reaches this server: the connection's scheme, and the Host."""

    scheme: str
    host: str


@dataclass(frozen=True, slots=True)
class InspectedMessage:
    """A request as it was shown, or why it is none. `ours`: its host is one that this server answers for."""

    request: Request | None
    refusal: SignatureError | None = None
    ours: bool = False


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


def message_from_text(raw: bytes, *, scheme: str | None, reached: Reached) -> InspectedMessage:
    """A request from its text: request line, field lines, an empty line, the body. LF is taken for CRLF.

    Of what `curl --verbose` shows only the lines count that it sent: those that begin with ">".
    """
    if raw.lstrip().startswith((b"* ", b"> ")):
        raw = b"\n".join(re.findall(rb"^> ?(.*?)\r?$", raw, re.MULTILINE))
    head, body = [*re.split(rb"\r?\n\r?\n", raw, maxsplit=1), b""][:2]
    first, *others = head.decode("latin-1").lstrip("\r\n").replace("\r\n", "\n").split("\n")
    method, _, rest = first.partition(" ")
    url = rest.rpartition(" ")[0] if re.search(r" HTTP/[0-9.]+\s*\Z", rest) else rest
    pairs = (line.partition(":")[::2] for line in others if line.strip())
    lines = [(name, value.strip(" \t")) for name, value in pairs]
    return message_from_parts(
        method=method, url=url.strip(), lines=lines, body=body, scheme=scheme, reached=reached
    )


def message_from_parts(
    *,
    method: str,
    url: str,
    lines: Sequence[tuple[str, str]],
    body: bytes,
    scheme: str | None,
    reached: Reached,
) -> InspectedMessage:
    """A request from its parts, addressed as the server would find it to be.

    Args:
        url: absolute, or a request target.
        scheme: "http" or "https", as the server or its proxy would see it, if that is known.
    """
    lines = list(lines)
    absolute = _ABSOLUTE.fullmatch(url)
    if absolute is not None:
        url = absolute[3] if absolute[3].startswith("/") else f"/{absolute[3]}"
        if not any(name.lower() == "host" for name, _ in lines):
            lines.append(("Host", absolute[2]))
    host = next((value for name, value in lines if name.lower() == "host"), "")
    url_scheme = absolute[1].lower() if absolute is not None else None
    try:
        judged, ours = _addressed(host, scheme or _likely_scheme(url_scheme, host, reached))
        request = Request.from_lines(method=method, raw_target=url, scheme=judged, lines=lines, body=body)
        return InspectedMessage(request, ours=ours)
    except SignatureError as refusal:
        return InspectedMessage(None, refusal)


def _likely_scheme(url_scheme: str | None, host: str, reached: Reached) -> str:
    """The connection's where it is the same server under the same name: what a URL says of it is what its
    author believes, and a proxy in between may have made it wrong."""
    if url_scheme is None or _same_host(host, url_scheme, reached):
        return reached.scheme
    return url_scheme


def _same_host(host: str, scheme: str, reached: Reached) -> bool:
    try:
        return normalise_authority(host, scheme) == normalise_authority(reached.host, reached.scheme)
    except SignatureError:
        return False


def _addressed(host: str, scheme: str) -> tuple[str, bool]:
    """The scheme that the request would be judged under, and whether this server would judge it at all."""
    if not host:
        return scheme, False
    try:
        return judged_origin(scheme, host)[0], True
    except AuthorityNotAllowed:
        return scheme, is_forwarded_authority(normalise_authority(host, scheme))


def inspect_message(message: InspectedMessage, *, now: float) -> Inspected:
    """Every check on the request. The state of client and key is shown only where all else holds:
    then whoever asks has just seen a fresh signature by that key."""
    if message.request is None:
        return Inspected(Inspection(), [_failed("message", message.refusal)], None, "standard")
    client = _claimed_client(message.request)
    policy = PROFILES[client.profile if client else "standard"]
    authorities = frozenset({message.request.authority}) if message.ours else frozenset[str]()
    inspection = inspect(
        message.request,
        policy=replace(policy, allowed_authorities=authorities),
        keys_for=lambda _: client.keys if client else (),
        now=now,
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
