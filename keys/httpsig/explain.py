"""All checks on one request, each with its verdict: what ``signatures/inspect`` and refusals show."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic

from .base import line_digests, signature_base
from .causes import find_cause
from .checks import check_algorithm, check_authority, check_coverage, check_keyid, check_nonce, check_time
from .components import STRUCTURED_FIELDS
from .digest import check_content_digest
from .errors import KeyNotFound, SignatureError
from .message import Request
from .near_misses import Cause
from .policy import Policy
from .signatures import UnverifiedSignature, parse_signatures, select_signature
from .verify import K, check_signature


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``ok`` is None where an earlier failure left nothing to look at."""

    name: str
    ok: bool | None
    message: str
    code: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Inspection(Generic[K]):
    """What became of a request. ``key`` is the one that verified; ``lines`` are those of the base."""

    checks: list[Check] = field(default_factory=list)
    signature: UnverifiedSignature | None = None
    key: K | None = None
    base: str | None = None
    lines: list[dict[str, str]] = field(default_factory=list)
    cause: Cause | None = None

    @property
    def verified(self) -> bool:
        """Whether every check passed (replay is not among them)."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON. The key is left to the caller."""
        signature = self.signature
        return {
            "verified": self.verified,
            "checks": [asdict(check) for check in self.checks],
            "signature": None if signature is None else describe(signature),
            "signature_base": self.base,
            "signature_base_lines": self.lines,
            "cause": None if self.cause is None else asdict(self.cause),
        }


def describe(signature: UnverifiedSignature) -> dict[str, Any]:
    """What a signature claims, in plain values."""
    known = ("created", "expires", "nonce", "alg", "keyid", "tag")
    return {
        "label": signature.label,
        "components": [component.text for component in signature.components],
        "params": {name: getattr(signature, name) for name in known if getattr(signature, name) is not None},
        "signature_params": signature.params_text,
    }


def inspect(
    request: Request,
    *,
    policy: Policy,
    keys_for: Callable[[str], Sequence[K]],
    now: float,
    tag: str | None = None,
    structured_fields: Mapping[str, str] = STRUCTURED_FIELDS,
) -> Inspection[K]:
    """Run every check in the order of :func:`verify`, going on after a failure where that makes sense.

    Arguments are those of :func:`verify`. Nothing is raised and no nonce is spent.
    """
    inspector: _Inspector[K] = _Inspector(request, policy, now, structured_fields)
    return inspector.run(keys_for, tag or policy.tag)


class _Inspector(Generic[K]):
    def __init__(
        self, request: Request, policy: Policy, now: float, structured_fields: Mapping[str, str]
    ) -> None:
        self.request = request
        self.policy = policy
        self.now = now
        self.structured_fields = structured_fields
        self.result: Inspection[K] = Inspection()

    def run(self, keys_for: Callable[[str], Sequence[K]], tag: str) -> Inspection[K]:
        signature = self._find_signature(tag)
        if signature is None:
            return self.result
        request, policy = self.request, self.policy
        self._check(
            "host", "The host is one that this server answers for.", lambda: check_authority(request, policy)
        )
        self._check("keyid", "A keyid is there.", lambda: check_keyid(signature))
        self._check("algorithm", "The algorithm is allowed.", lambda: check_algorithm(signature, policy))
        self._check("time", "The signature is fresh.", lambda: check_time(signature, policy, self.now))
        self._check("nonce", "The nonce is well-formed.", lambda: self._check_nonce(signature))
        self._check(
            "coverage", "All that is required is covered.", lambda: check_coverage(signature, request, policy)
        )
        keys = self._find_keys(signature, keys_for)
        self._check("digest", "The body is the one declared.", lambda: check_content_digest(request))
        self._check_signature(signature, self._build_base(signature), keys)
        return self.result

    def _find_signature(self, tag: str) -> UnverifiedSignature | None:
        try:
            signatures = parse_signatures(self.request, self.policy.limits)
            self._passed("parse", f"{len(signatures)} signature(s), well-formed.")
        except SignatureError as error:
            self._failed("parse", error)
            return None
        try:
            signature = select_signature(signatures, tag, required=self.policy.tag_required)
        except SignatureError as error:
            self._failed("select", error)
            return None
        self._passed("select", f'The signature "{signature.label}" is the one that counts.')
        self.result.signature = signature
        return signature

    def _check_nonce(self, signature: UnverifiedSignature) -> None:
        check_nonce(signature, self.policy.nonce, self.request.method)

    def _find_keys(
        self, signature: UnverifiedSignature, keys_for: Callable[[str], Sequence[K]]
    ) -> Sequence[K]:
        keys = keys_for(signature.keyid) if signature.keyid is not None else ()
        if keys:
            self._passed("key", "A key answers to the keyid.")
        else:
            self._failed("key", KeyNotFound("No key answers to this keyid."))
        return keys

    def _build_base(self, signature: UnverifiedSignature) -> bytes | None:
        try:
            base = signature_base(signature, self.request, self.structured_fields)
        except SignatureError as error:
            self._failed("base", error)
            return None
        self._passed("base", "Every covered component has a value.")
        self.result.base = base.decode("ascii")
        texts = self.result.base.split("\n")
        self.result.lines = [
            {**digest, "line": text} for digest, text in zip(line_digests(base), texts, strict=True)
        ]
        return base

    def _check_signature(self, signature: UnverifiedSignature, base: bytes | None, keys: Sequence[K]) -> None:
        if base is None or not keys:
            self.result.checks.append(Check("signature", None, "Not checked: there is no base or no key."))
            return
        try:
            self.result.key = check_signature(signature, base, keys, self.policy.algorithms)
        except SignatureError as error:
            self._failed("signature", error)
            public_keys = [key.public_key for key in keys]
            self.result.cause = find_cause(signature, self.request, public_keys, self.structured_fields)
            return
        self._passed(
            "signature", f"The signature holds. SHA-256 of the base: {hashlib.sha256(base).hexdigest()}."
        )

    def _check(self, name: str, success: str, check: Callable[[], None]) -> None:
        try:
            check()
        except SignatureError as error:
            self._failed(name, error)
        else:
            self._passed(name, success)

    def _passed(self, name: str, message: str) -> None:
        self.result.checks.append(Check(name, True, message))

    def _failed(self, name: str, error: SignatureError) -> None:
        self.result.checks.append(Check(name, False, error.message, error.code, error.details))
