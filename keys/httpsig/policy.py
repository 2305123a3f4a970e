"""What a verifier demands of a signature: a value, so that one engine serves every profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

ALGORITHMS = frozenset(
    {"ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha512", "rsa-v1_5-sha256"}
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# One requirement: any of these sets of components satisfies it.
Requirement = tuple[frozenset[str], ...]


def one_of(*alternatives: str | tuple[str, ...]) -> Requirement:
    """A requirement from alternatives, each a component name or several that count only together."""
    return tuple(frozenset({each} if isinstance(each, str) else each) for each in alternatives)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are checked before any work is done."""

    signature_input_bytes: int = 8192
    signature_bytes: int = 4096
    signatures: int = 8
    components: int = 64
    params: int = 32
    string_chars: int = 1024


@dataclass(frozen=True, slots=True)
class NonceRule:
    """Which nonces count. ``min_bits`` is a lower bound on what the nonce's alphabet and length can hold."""

    required: bool = True
    exempt_methods: frozenset[str] = frozenset()
    min_chars: int = 8
    max_chars: int = 128
    min_bits: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for one signature. Times are in seconds.

    window_s: how long after ``created`` a signature counts.
    clock_skew_s: how far ``created`` may lie ahead of this server's clock.
    expires_skew_s: how long after ``expires`` a signature still counts.
    max_lifetime_s: the longest allowed ``expires - created``; None for no bound.
    required_components: all of these must be met by components without parameters.
    body_components: must be covered when there is a body.
    covered_if_present: must be covered when the field is there.
    forbidden_components: must not be covered as a whole field.
    tag: the ``tag`` that marks signatures meant for this verifier.
    tag_required: refuse a lone signature that carries another tag or none.
    allowed_authorities: the hosts that this server answers for; None leaves that to the caller.
    """

    name: str = "standard"
    window_s: int = 300
    clock_skew_s: int = 30
    expires_skew_s: int = 0
    max_lifetime_s: int | None = 86_400
    required_components: tuple[Requirement, ...] = (one_of("@method"), one_of("@target-uri"))
    body_components: tuple[str, ...] = ("content-digest", "content-type")
    covered_if_present: tuple[str, ...] = ()
    forbidden_components: frozenset[str] = frozenset({"signature", "signature-input"})
    nonce: NonceRule = field(default_factory=NonceRule)
    algorithms: frozenset[str] = ALGORITHMS
    tag: str = "datafold"
    tag_required: bool = False
    allowed_authorities: frozenset[str] | None = None
    limits: Limits = field(default_factory=Limits)


STRICT = Policy(
    name="strict",
    window_s=60,
    clock_skew_s=5,
    required_components=(one_of("@method"), one_of("@target-uri"), one_of("@authority")),
    nonce=NonceRule(min_chars=16, min_bits=128),
)
STANDARD = Policy()
LENIENT = Policy(
    name="lenient",
    window_s=600,
    clock_skew_s=120,
    body_components=("content-digest",),
    nonce=NonceRule(exempt_methods=SAFE_METHODS),
)

PROFILES: Mapping[str, Policy] = MappingProxyType(
    {policy.name: policy for policy in (STRICT, STANDARD, LENIENT)}
)
