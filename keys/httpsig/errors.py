"""Every way in which the engine refuses, as one tree of exceptions.

Each class carries a stable ``code`` (part of the public API), a ``message`` for the person whose
request was refused (what happened, why, what to do) and ``details`` for their tools.

    SignatureError
    ├── RequestMalformed, AuthorityNotAllowed
    ├── SignatureMissing, SignatureMalformed (StructuredFieldError), SignatureAmbiguous, SignatureTooLarge
    ├── KeyIdMissing, ComponentNotCovered, ComponentUnknown
    ├── AlgorithmNotAllowed, AlgorithmMismatch
    ├── TimestampMissing, TimestampInFuture, SignatureExpired
    ├── NonceMissing, NonceInvalid
    ├── DigestMissing, DigestMismatch, DigestMalformed
    ├── KeyNotFound, SignatureVerificationFailed
    └── InvalidPublicKey, InvalidPrivateKey
"""

from typing import Any, ClassVar


class SignatureError(Exception):
    """The base of the tree: whatever the engine raises is one of these."""

    code: ClassVar[str] = "SIGNATURE_ERROR"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details

    def __str__(self) -> str:
        return self.message


class RequestMalformed(SignatureError):
    """The message around the signature is not well-formed HTTP."""

    code = "REQUEST_MALFORMED"


class AuthorityNotAllowed(SignatureError):
    """The request names a host that this server does not answer for."""

    code = "AUTHORITY_NOT_ALLOWED"


class SignatureMissing(SignatureError):
    code = "SIGNATURE_MISSING"


class SignatureMalformed(SignatureError):
    code = "SIGNATURE_MALFORMED"


class StructuredFieldError(SignatureMalformed):
    """A structured field (RFC 9651) does not parse."""


class SignatureAmbiguous(SignatureError):
    code = "SIGNATURE_AMBIGUOUS"


class SignatureTooLarge(SignatureError):
    code = "SIGNATURE_TOO_LARGE"


class KeyIdMissing(SignatureError):
    code = "KEYID_MISSING"


class ComponentNotCovered(SignatureError):
    code = "COMPONENT_NOT_COVERED"


class ComponentUnknown(SignatureError):
    code = "COMPONENT_UNKNOWN"


class AlgorithmNotAllowed(SignatureError):
    code = "ALGORITHM_NOT_ALLOWED"


class AlgorithmMismatch(SignatureError):
    code = "ALGORITHM_MISMATCH"


class TimestampMissing(SignatureError):
    code = "TIMESTAMP_MISSING"


class TimestampInFuture(SignatureError):
    code = "TIMESTAMP_IN_FUTURE"


class SignatureExpired(SignatureError):
    code = "SIGNATURE_EXPIRED"


class NonceMissing(SignatureError):
    code = "NONCE_MISSING"


class NonceInvalid(SignatureError):
    code = "NONCE_INVALID"


class DigestMissing(SignatureError):
    code = "DIGEST_MISSING"


class DigestMismatch(SignatureError):
    code = "DIGEST_MISMATCH"


class DigestMalformed(SignatureError):
    code = "DIGEST_MALFORMED"


class KeyNotFound(SignatureError):
    """No key answers to the ``keyid``."""

    code = "CLIENT_NOT_FOUND"


class SignatureVerificationFailed(SignatureError):
    code = "SIGNATURE_VERIFICATION_FAILED"


class InvalidPublicKey(SignatureError):
    code = "INVALID_PUBLIC_KEY"


class InvalidPrivateKey(SignatureError):
    code = "INVALID_PRIVATE_KEY"
