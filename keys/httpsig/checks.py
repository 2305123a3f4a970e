"""What a policy demands of a parsed signature, before any cryptography."""

import math
import re

from .errors import (
    AlgorithmNotAllowed,
    AuthorityNotAllowed,
    ComponentNotCovered,
    ComponentUnknown,
    KeyIdMissing,
    NonceInvalid,
    NonceMissing,
    SignatureExpired,
    SignatureMalformed,
    TimestampInFuture,
    TimestampMissing,
)
from .message import Request
from .policy import NonceRule, Policy
from .signatures import UnverifiedSignature

_VISIBLE_ASCII = re.compile(r"[!-~]*")
_UUID = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-([0-9a-fA-F])[0-9a-fA-F]{3}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)
_ALPHABETS = (
    (re.compile(r"[0-9]*"), 10),
    (re.compile(r"[0-9a-f]*|[0-9A-F]*"), 16),
    # Letters of one case are no alphabet of their own: one in 100,000 random texts in base64 has no other.
    (re.compile(r"[A-Za-z0-9+/_=-]*"), 64),
)
# What other standards call the same algorithms (RFC 7518, RFC 8037, older signature drafts).
_OTHER_NAMES = {
    "eddsa": "ed25519",
    "es256": "ecdsa-p256-sha256",
    "es384": "ecdsa-p384-sha384",
    "ps512": "rsa-pss-sha512",
    "rs256": "rsa-v1_5-sha256",
    "rsa-sha256": "rsa-v1_5-sha256",
}
_MILLISECONDS = 10**11  # in seconds the year 5138, in milliseconds 1973
_MIN_DISTINCT = 5  # of 128 random bits in any of these alphabets one in 10^13 has fewer; 8 fail one in 10^4


def check_authority(request: Request, policy: Policy) -> None:
    """Raises :class:`AuthorityNotAllowed` if the policy lists authorities and this is none of them."""
    if policy.allowed_authorities is not None and request.authority not in policy.allowed_authorities:
        raise AuthorityNotAllowed(
            "The request names a host that this server does not answer for. "
            "Check the URL and any proxy in between.",
            authority=request.authority,
        )


def check_parameters(
    signature: UnverifiedSignature, policy: Policy, now: float, method: str = "POST"
) -> None:
    """Presence, time, nonce and algorithm. ``now`` in seconds since the epoch.

    ``method`` matters where the policy lets some methods go without a nonce.
    """
    check_keyid(signature)
    check_algorithm(signature, policy)
    check_time(signature, policy, now)
    check_nonce(signature, policy.nonce, method)


def check_keyid(signature: UnverifiedSignature) -> None:
    """Raises :class:`KeyIdMissing`."""
    if signature.keyid is None:
        raise KeyIdMissing('The signature has no keyid. Send your client_id: keyid="…".')


def check_algorithm(signature: UnverifiedSignature, policy: Policy) -> None:
    """Raises :class:`AlgorithmNotAllowed` if ``alg`` is named and not on the policy's list."""
    if signature.alg is not None and signature.alg not in policy.algorithms:
        name = _OTHER_NAMES.get(signature.alg.lower(), signature.alg.lower())
        meant = f'In RFC 9421 it is called "{name}". ' if name in policy.algorithms else ""
        raise AlgorithmNotAllowed(
            f"The signature names an algorithm that this server does not take. {meant}"
            "Leave alg out (the key decides) or use one of the allowed.",
            algorithm=signature.alg,
            allowed=sorted(policy.algorithms),
        )


def check_time(signature: UnverifiedSignature, policy: Policy, now: float) -> None:
    """Raises :class:`TimestampMissing`, :class:`TimestampInFuture`, :class:`SignatureExpired`, or
    :class:`SignatureMalformed` for an ``expires`` that makes no sense."""
    created = signature.created
    if created is None:
        raise TimestampMissing(
            "The signature has no created parameter. Add created=<seconds since 1970, UTC>."
        )
    age = now - created
    if created >= _MILLISECONDS:
        raise TimestampInFuture(
            "The signature's created is in milliseconds or finer. Give whole seconds since 1970, UTC, and sign again.",
            created=created,
            server_time=int(now),
        )
    if age < -policy.clock_skew_s:
        ahead = math.ceil(-age)
        raise TimestampInFuture(
            f"The signature was created {ahead} s in the future; {policy.clock_skew_s} s are allowed. "
            f"Your clock is about {ahead} s ahead: synchronise it (NTP) and sign again.",
            clock_ahead_s=ahead,
            allowed_skew_s=policy.clock_skew_s,
            created=created,
            server_time=int(now),
        )
    if age > policy.window_s:
        behind = math.floor(age)
        raise SignatureExpired(
            f"The signature was created {behind} s ago; it counts for {policy.window_s} s. "
            "Sign again just before sending. "
            f"If it was fresh, your clock is about {behind} s behind: synchronise it (NTP).",
            age_s=behind,
            window_s=policy.window_s,
            created=created,
            server_time=int(now),
        )
    if signature.expires is not None:
        _check_expires(signature.expires, created, policy, now)


def _check_expires(expires: int, created: int, policy: Policy, now: float) -> None:
    if expires <= created:
        raise SignatureMalformed(
            "The signature expires before it was created. Set expires after created.",
            created=created,
            expires=expires,
        )
    lifetime = expires - created
    if policy.max_lifetime_s is not None and lifetime > policy.max_lifetime_s:
        raise SignatureMalformed(
            f"The signature claims to live for {lifetime} s; the limit is {policy.max_lifetime_s} s. "
            "Set an earlier expires, or none.",
            lifetime_s=lifetime,
            limit_s=policy.max_lifetime_s,
        )
    if now >= expires + policy.expires_skew_s:
        past = math.floor(now - expires)
        raise SignatureExpired(
            f"The signature expired {past} s ago by its own expires parameter. Sign again.",
            expired_s=past,
            expires=expires,
            server_time=int(now),
        )


def check_nonce(signature: UnverifiedSignature, rule: NonceRule, method: str) -> None:
    """Raises :class:`NonceMissing` or :class:`NonceInvalid`. Whether it is fresh is the caller's to check."""
    nonce = signature.nonce
    if nonce is None:
        if rule.required and method not in rule.exempt_methods:
            raise NonceMissing(
                'The signature has no nonce. Add a fresh one to every request: nonce="<UUID4>".'
            )
        return
    if not rule.min_chars <= len(nonce) <= rule.max_chars:
        raise NonceInvalid(
            f"The nonce has {len(nonce)} characters; {rule.min_chars} to {rule.max_chars} are allowed. Use a UUID4.",
            length=len(nonce),
            minimum=rule.min_chars,
            maximum=rule.max_chars,
        )
    if _VISIBLE_ASCII.fullmatch(nonce) is None:
        raise NonceInvalid(
            "The nonce holds a blank or a control character. Use visible ASCII, such as a UUID4."
        )
    if rule.min_bits and not _holds_bits(nonce, rule.min_bits):
        raise NonceInvalid(
            f"The nonce is too easy to guess: this profile asks for a UUID4 or {rule.min_bits} random bits.",
            minimum_bits=rule.min_bits,
        )


def _holds_bits(nonce: str, bits: int) -> bool:
    """Whether the nonce is a UUID4, or could be ``bits`` random bits in the alphabet that it uses."""
    uuid = _UUID.fullmatch(nonce)
    if uuid is not None:
        return uuid[1] == "4"  # the other versions are made of time and place
    if len(set(nonce)) < _MIN_DISTINCT:
        return False
    undashed = nonce.replace("-", "")
    alphabet = next((size for pattern, size in _ALPHABETS if pattern.fullmatch(undashed)), 94)
    symbols = nonce.strip("=") if alphabet >= 64 else undashed
    return len(symbols) * math.log2(alphabet) >= bits


def check_coverage(signature: UnverifiedSignature, request: Request, policy: Policy) -> None:
    """Raises :class:`ComponentNotCovered` unless the signature covers what the policy requires."""
    covered = signature.components.plain
    for requirement in policy.required_components:
        for alternative in requirement:
            if alternative <= covered:
                break
        else:
            raise _not_covered(signature, request, policy)
    if request.has_body and not covered.issuperset(policy.body_components):
        raise _not_covered(signature, request, policy)
    for name in policy.covered_if_present:
        if name in request.fields and name not in covered:
            raise _not_covered(signature, request, policy)
    if not covered.isdisjoint(policy.forbidden_components):
        name = min(covered & policy.forbidden_components)
        raise ComponentUnknown(
            f'The component "{name}" must not be covered here. Leave it out.', component=f'"{name}"'
        )


def missing_components(signature: UnverifiedSignature, request: Request, policy: Policy) -> list[str]:
    """The components that the policy requires and the signature lacks, alternatives joined by "or"."""
    covered = signature.components.plain
    missing = [
        " or ".join(" ".join(f'"{name}"' for name in sorted(alternative)) for alternative in requirement)
        for requirement in policy.required_components
        if not any(alternative <= covered for alternative in requirement)
    ]
    names = [name for name in policy.covered_if_present if name in request.fields]
    if request.has_body:
        names = [*policy.body_components, *names]
    return missing + [f'"{name}"' for name in dict.fromkeys(names) if name not in covered]


def _not_covered(signature: UnverifiedSignature, request: Request, policy: Policy) -> ComponentNotCovered:
    missing = missing_components(signature, request, policy)
    them = "it" if len(missing) == 1 else "them"
    return ComponentNotCovered(
        f"The signature does not cover {', '.join(missing)}. Cover {them} (without parameters) and sign again."
        + _how_to_cover(missing, signature, request),
        missing=missing,
        covered=[component.text for component in signature.components],
        profile=policy.name,
    )


def _how_to_cover(missing: list[str], signature: UnverifiedSignature, request: Request) -> str:
    """What else is to be said of frequent mistakes."""
    capitals = [each.text for each in signature.components if each.name != each.name.lower()]
    if any(name.lower() in missing for name in capitals):
        return " The names of components are in lower case."
    if '"content-digest"' in missing and "content-digest" not in request.fields:
        return " Add the field first: Content-Digest: sha-256=:<base64 of the body's SHA-256>:."
    return ""


def nonce_expiry(signature: UnverifiedSignature, policy: Policy) -> float:
    """Until when the nonce must be remembered, in seconds since the epoch: ``created`` + window + skew."""
    if signature.created is None:
        raise TimestampMissing("The signature has no created parameter, so its nonce has no end.")
    return float(signature.created + policy.window_s + policy.clock_skew_s)
