"""Everything that this package raises.

* DataFoldError
  x ConfigurationError          nothing was sent: a setting, a path or a request is not usable
    + InvalidKeyError           a private or public key cannot be read or does not fit
    + SigningError              this request cannot be signed
  x TransportError              no answer: the network, TLS or the connection failed
    + RequestTimeoutError
    + RedirectRefusedError      the server redirects where a signature must not follow
  x InvalidResponseError        an answer that is not DataFold's
  x VerificationError           something that the server signed, or a receipt, does not hold
  x APIError                    the server refused
    + BadRequestError           400 and every other 4xx without a class of its own
    + AuthenticationError       401
      - SignatureError          the signature was refused
        · ClockError            SIGNATURE_EXPIRED, TIMESTAMP_IN_FUTURE
        · NonceReusedError      NONCE_REUSED
        · SignatureMismatchError  SIGNATURE_VERIFICATION_FAILED
    + PermissionDeniedError     403
      - KeyStateError           KEY_NOT_ACTIVE, KEY_EXPIRED, KEY_REVOKED, CLIENT_SUSPENDED
    + NotFoundError             404
    + ConflictError             409
      - SchemaIncompatibleError SCHEMA_INCOMPATIBLE
    + ValidationError           422
    + RateLimitedError          429, says when to try again
    + ServerError               5xx
      - ServiceUnavailableError 503, says when to try again
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "APIError",
    "AuthenticationError",
    "BadRequestError",
    "ClockError",
    "ConfigurationError",
    "ConflictError",
    "DataFoldError",
    "InvalidKeyError",
    "InvalidResponseError",
    "KeyStateError",
    "NonceReusedError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RedirectRefusedError",
    "RequestTimeoutError",
    "SchemaIncompatibleError",
    "ServerError",
    "ServiceUnavailableError",
    "SignatureError",
    "SignatureMismatchError",
    "SigningError",
    "TransportError",
    "ValidationError",
    "VerificationError",
]


class DataFoldError(Exception):
    """The root of this package's errors.

    Attributes:
        message: what happened, for a person.
        code: a stable upper-case code; the server's own where the server refused.
        details: what else is known, ready for JSON.
        status: the HTTP status, or None where no answer came.
        request_id: the server's name for the request, to be quoted to its operators.
    """

    default_code = "DATAFOLD_ERROR"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: dict[str, Any] | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details = details or {}
        self.status = status
        self.request_id = request_id

    @property
    def cause(self) -> str | None:
        """Why it happened, in one sentence, where the server said so."""
        return self._detail("cause")

    @property
    def cure(self) -> str | None:
        """What to do now, in one sentence, where the server said so."""
        return self._detail("cure")

    def _detail(self, name: str) -> str | None:
        value = self.details.get(name)
        return value if isinstance(value, str) else None

    def __str__(self) -> str:
        sentences = [self.message]
        sentences += [text for text in (self.cause, self.cure) if text and text not in self.message]
        where = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {' '.join(sentences)}{where}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r}, status={self.status!r}, message={self.message!r})"

    def to_dict(self) -> dict[str, Any]:
        """The error in the shape of the server's envelope: success, data, error, meta."""
        return {
            "success": False,
            "data": None,
            "error": {
                "code": self.code,
                "message": self.message,
                "status": self.status,
                "details": self.details,
            },
            "meta": {"request_id": self.request_id},
        }


class ConfigurationError(DataFoldError):
    """Nothing was sent: a setting, a path or a request is not usable."""

    default_code = "CONFIGURATION_ERROR"


class InvalidKeyError(ConfigurationError):
    """A key cannot be read or does not fit its algorithm. Never quotes the key."""

    default_code = "INVALID_KEY"


class SigningError(ConfigurationError):
    """This request cannot be signed as its profile or the server wants it."""

    default_code = "SIGNING_ERROR"


class TransportError(DataFoldError):
    """No answer came: the network, TLS or the connection failed."""

    default_code = "TRANSPORT_ERROR"


class RequestTimeoutError(TransportError):
    """No answer came in time. Whether the request took effect is not known."""

    default_code = "REQUEST_TIMEOUT"


class RedirectRefusedError(TransportError):
    """The server redirects where a signed request must not follow."""

    default_code = "REDIRECT_REFUSED"


class InvalidResponseError(DataFoldError):
    """The answer is not one that a DataFold server gives."""

    default_code = "INVALID_RESPONSE"


class VerificationError(DataFoldError):
    """What the server signed, or a receipt, does not hold."""

    default_code = "VERIFICATION_FAILED"


class APIError(DataFoldError):
    """The server answered with a refusal.

    Attributes:
        retry_after: seconds to wait before another attempt, where the server said so.
    """

    default_code = "API_ERROR"

    def __init__(self, message: str, *, retry_after: float | None = None, **known: Any) -> None:
        super().__init__(message, **known)
        self.retry_after = retry_after


class BadRequestError(APIError):
    """400, or a 4xx that has no class of its own (405, 411, 413, 415, …)."""


class AuthenticationError(APIError):
    """401: the server does not know who asks."""


class SignatureError(AuthenticationError):
    """401: the request's signature was refused."""


class ClockError(SignatureError):
    """401: the signature's `created` lies outside the server's window.

    Attributes:
        clock_skew: this machine's clock minus the server's, in seconds; None if the server sent no Date.
    """

    def __init__(self, message: str, *, clock_skew: float | None = None, **known: Any) -> None:
        super().__init__(message, **known)
        self.clock_skew = clock_skew


class NonceReusedError(SignatureError):
    """401: this very signature has already been seen. Never sent again by itself."""


class SignatureMismatchError(SignatureError):
    """401: the signature does not verify over what arrived at the server."""


class PermissionDeniedError(APIError):
    """403: known, but not allowed."""


class KeyStateError(PermissionDeniedError):
    """The key or its client is pending, suspended, expired or revoked."""


class NotFoundError(APIError):
    """404."""


class ConflictError(APIError):
    """409: it exists already, or the present state forbids it."""


class SchemaIncompatibleError(ConflictError):
    """409: the new version breaks the schema's compatibility mode; `details` holds the report."""


class ValidationError(APIError):
    """422: well-formed but invalid; `details` lists every problem."""


class RateLimitedError(APIError):
    """429: wait `retry_after` seconds."""


class ServerError(APIError):
    """5xx: the server failed."""


class ServiceUnavailableError(ServerError):
    """503: the server cannot decide now; wait `retry_after` seconds."""
