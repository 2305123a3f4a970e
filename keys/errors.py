"""Refusals around keys: registration, decisions, authentication after the signature held."""

from __future__ import annotations

from project.errors import DomainError


class KeysError(DomainError):
    """Base of the refusals of this app."""


class ClientAlreadyRegistered(KeysError):
    code = "CLIENT_ALREADY_REGISTERED"


class DuplicatePublicKey(KeysError):
    code = "DUPLICATE_PUBLIC_KEY"


class InvalidMetadata(KeysError):
    code = "INVALID_METADATA"


class RegistrationClosed(KeysError):
    code = "REGISTRATION_CLOSED"


class EnrolmentTokenInvalid(KeysError):
    code = "ENROLMENT_TOKEN_INVALID"


class KeyNotFound(KeysError):
    code = "KEY_NOT_FOUND"


class KeyStateConflict(KeysError):
    """The key is not in a state from which this transition leads."""

    code = "KEY_STATE_CONFLICT"


class ClientNotFound(KeysError):
    code = "CLIENT_NOT_FOUND"


class ClientSuspended(KeysError):
    code = "CLIENT_SUSPENDED"


class KeyNotActive(KeysError):
    code = "KEY_NOT_ACTIVE"


class KeyExpired(KeysError):
    code = "KEY_EXPIRED"


class KeyRevoked(KeysError):
    code = "KEY_REVOKED"


class NetworkNotAllowed(KeysError):
    code = "NETWORK_NOT_ALLOWED"


class ScopeMissing(KeysError):
    code = "SCOPE_MISSING"


class NonceReused(KeysError):
    code = "NONCE_REUSED"


class ReplayCheckUnavailable(KeysError):
    code = "REPLAY_CHECK_UNAVAILABLE"


class RateLimited(KeysError):
    code = "RATE_LIMITED"


class RawTargetMissing(KeysError):
    code = "RAW_TARGET_MISSING"


class AuthorityNotAllowed(KeysError):
    code = "AUTHORITY_NOT_ALLOWED"


class ProxyNotTrusted(KeysError):
    code = "PROXY_NOT_TRUSTED"


class ForwardedRequestInvalid(KeysError):
    code = "FORWARDED_REQUEST_INVALID"


class ForwardedHostNotAllowed(KeysError):
    code = "FORWARDED_HOST_NOT_ALLOWED"
