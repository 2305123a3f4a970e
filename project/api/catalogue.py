"""Every error code: its status, what causes it and what cures it.

The one source for the HTTP status, for the OpenAPI document and for `docs/errors.md`
(written by `manage.py write_error_docs`; a test keeps them equal).
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    status: int
    cause: str
    cure: str


CATALOGUE: dict[str, Entry] = {
    # Signature
    "SIGNATURE_MISSING": Entry(
        401,
        "The call needs a signature and the request has none (or only one of its two fields).",
        "Sign it: the answer's Accept-Signature field says which components.",
    ),
    "SIGNATURE_MALFORMED": Entry(
        400,
        "Signature-Input or Signature is not what RFC 9421 and RFC 9651 say.",
        "Use a library for the two fields; the message names the place.",
    ),
    "SIGNATURE_AMBIGUOUS": Entry(
        400,
        "Several signatures, and none or more than one is tagged `datafold`.",
        'Tag exactly one signature with tag="datafold".',
    ),
    "SIGNATURE_TOO_LARGE": Entry(
        400,
        "The signature fields are over the limits on bytes, signatures, components or parameters.",
        "Cover fewer components; send one signature.",
    ),
    "KEYID_MISSING": Entry(
        401,
        "The signature does not say whose it is: it has no `keyid`.",
        "Add `keyid`: the client_id, or the key's thumbprint.",
    ),
    "COMPONENT_NOT_COVERED": Entry(
        401,
        "The signature leaves out a component that the client's profile requires.",
        "Sign again, covering what details.missing lists.",
    ),
    "COMPONENT_UNKNOWN": Entry(
        401,
        "A covered component does not exist in this request, or cannot be covered.",
        "Cover only what the request has; see the message.",
    ),
    "ALGORITHM_NOT_ALLOWED": Entry(
        401,
        "The algorithm is not one that this server takes.",
        "Use ed25519, ecdsa-p256-sha256, ecdsa-p384-sha384, rsa-pss-sha512 or rsa-v1_5-sha256.",
    ),
    "ALGORITHM_MISMATCH": Entry(
        401,
        "`alg` is not the algorithm of the registered key.",
        "Sign with the key's algorithm, or leave `alg` out.",
    ),
    "TIMESTAMP_MISSING": Entry(401, "The signature has no `created`.", "Add `created`, Unix seconds."),
    "TIMESTAMP_IN_FUTURE": Entry(
        401,
        "`created` lies ahead of the server's clock by more than the profile's skew.",
        "Set the client's clock (NTP); details say by how much it is ahead.",
    ),
    "SIGNATURE_EXPIRED": Entry(
        401,
        "`created` is older than the profile's window, or `expires` has passed.",
        "Sign just before sending; set the client's clock.",
    ),
    "NONCE_MISSING": Entry(
        401,
        "The signature has no `nonce` and the profile wants one.",
        "Add a fresh random nonce to every request.",
    ),
    "NONCE_INVALID": Entry(
        401,
        "The nonce is too short, too long, or not of the allowed characters.",
        "Use a UUID4 or 16 random bytes in base64url.",
    ),
    "NONCE_REUSED": Entry(
        401,
        "The nonce was spent before: a replay, or a retry that was not signed again, by the caller or by a proxy.",
        "Sign every attempt anew.",
    ),
    "DIGEST_MISSING": Entry(
        401,
        "The request has a body and no usable Content-Digest.",
        "Send Content-Digest: sha-256=:…: and cover it.",
    ),
    "DIGEST_MISMATCH": Entry(
        401,
        "The body that arrived has another digest than Content-Digest declares.",
        "Sign the bytes that are really sent; look for a proxy that rewrites bodies.",
    ),
    "DIGEST_MALFORMED": Entry(
        400, "Content-Digest is not a Dictionary of Byte Sequences.", "See RFC 9530: sha-256=:base64:."
    ),
    "CLIENT_NOT_FOUND": Entry(
        401,
        "No client or key answers to `keyid` (404 where a path names the client).",
        "Use the client_id or the thumbprint that the registration returned.",
    ),
    "CLIENT_SUSPENDED": Entry(403, "An operator suspended the client.", "Ask the operators."),
    "KEY_NOT_ACTIVE": Entry(
        403,
        "The signature holds, and the key is pending, suspended, rejected or retired.",
        "details.status says which; wait, ask, or sign with the successor.",
    ),
    "KEY_EXPIRED": Entry(
        403,
        "The signature holds, and the key has expired.",
        "Register a new key; rotate before the end next time.",
    ),
    "KEY_REVOKED": Entry(
        403, "The signature holds, and the key is revoked.", "Register a new key with an enrolment token."
    ),
    "NETWORK_NOT_ALLOWED": Entry(
        403,
        "The request comes from outside the client's allowed networks.",
        "Send it from inside, or have the network added.",
    ),
    "SIGNATURE_VERIFICATION_FAILED": Entry(
        401,
        "The signature does not hold for this request under any key of the client.",
        "Compare details.lines with your signature base; POST signatures/inspect shows every step.",
    ),
    "REPLAY_CHECK_UNAVAILABLE": Entry(
        503,
        "The store of used nonces cannot answer, or does not reach back far enough.",
        "Sign again and retry after Retry-After seconds.",
    ),
    "RAW_TARGET_MISSING": Entry(
        500, "The application server hides the request target.", "Operators: run DataFold on gunicorn."
    ),
    "AUTHORITY_NOT_ALLOWED": Entry(400, "The Host is none of this server's.", "Use the public address."),
    "REQUEST_MALFORMED": Entry(
        400, "Method, target or Host cannot be signed for.", "Percent-encode the target; send one Host."
    ),
    "PROXY_NOT_TRUSTED": Entry(
        403,
        "Forward auth was asked from an address that is not a trusted proxy.",
        "Operators: list the proxy in DATAFOLD_TRUSTED_PROXIES.",
    ),
    "FORWARDED_REQUEST_INVALID": Entry(
        400,
        "The proxy did not describe the original request completely, or did so in two dialects.",
        "Operators: see docs/forward-auth.md.",
    ),
    "FORWARDED_HOST_NOT_ALLOWED": Entry(
        403,
        "Forward auth was asked about a host that is not in DATAFOLD_FORWARD_AUTH_HOSTS.",
        "Operators: add the host.",
    ),
    # Registration and keys
    "INVALID_PUBLIC_KEY": Entry(
        422,
        "The public key is malformed, weak or of an unknown kind.",
        "Send 64 hexadecimal characters (Ed25519), PEM or JWK of the public key.",
    ),
    "INVALID_PRIVATE_KEY": Entry(422, "A private key cannot be used.", "Send it as PEM."),
    "CLIENT_ALREADY_REGISTERED": Entry(
        409,
        "The client_id is taken.",
        "Rotate the key, ask for an enrolment token, or choose another client_id.",
    ),
    "DUPLICATE_PUBLIC_KEY": Entry(
        409, "The public key is known already; a key is registered once, ever.", "Generate a new key pair."
    ),
    "INVALID_METADATA": Entry(
        422,
        "The metadata is over its limits; every problem is listed.",
        "At most 10 keys, values under 256 characters.",
    ),
    "REGISTRATION_CLOSED": Entry(403, "The server takes no registrations.", "Ask an operator."),
    "ENROLMENT_TOKEN_INVALID": Entry(
        403, "The enrolment token is missing, unknown, used or expired.", "Ask an operator for a new one."
    ),
    "KEY_NOT_FOUND": Entry(404, "There is no such key, or you may not see it.", "Check the id."),
    "KEY_STATE_CONFLICT": Entry(
        409,
        "The key is not in a state from which this decision leads, or somebody decided first.",
        "Reload and decide again.",
    ),
    "DECISION_STALE": Entry(
        409,
        "The key or its client changed since the operator looked.",
        "Read details.changes, load the key again, decide again.",
    ),
    "FOUR_EYES_REFUSED": Entry(
        403,
        "Under four eyes this operator's approval does not count, or not on these terms.",
        "Have another operator approve, on the terms in details.agreed.",
    ),
    "REASON_MISSING": Entry(422, "The decision must be explained and was not.", "Send a reason."),
    "CLIENT_STATE_CONFLICT": Entry(
        409,
        "The client is in that state already, or somebody decided first.",
        "Reload the client and look again.",
    ),
    "SCOPE_MISSING": Entry(
        403,
        "The client lacks the scope that this call needs.",
        "Ask an operator for it; details.scope names it.",
    ),
    "ROTATION_INVALID": Entry(
        400,
        "A rotation needs two signatures on one request: the old key's and the new key's.",
        "See docs/protocol.md, Rotation.",
    ),
    # Schemas
    "SCHEMA_EXISTS": Entry(409, "The name, or the version string, is taken.", "Choose another one."),
    "SCHEMA_NOT_FOUND": Entry(
        404, "There is no such schema or version, or you may not see it.", "Check name and number."
    ),
    "SCHEMA_INCOMPATIBLE": Entry(
        409,
        "The new version breaks the schema's compatibility mode; details hold the report.",
        "Change the document, or the mode.",
    ),
    "SCHEMA_INVALID": Entry(
        422,
        "The schema document is not valid; every problem is listed with its pointer.",
        "Mend what details.problems lists.",
    ),
    "SCHEMA_TOO_COMPLEX": Entry(
        422, "The schema is too deep or too large to be judged in bounded time.", "Split it."
    ),
    "SCHEMA_BLOCKED": Entry(
        403,
        "An operator blocked the schema; the reason is given.",
        "Use another schema or ask the operators.",
    ),
    "SCHEMA_FORBIDDEN": Entry(
        403, "The client may not write this schema.", "Ask its owner to be added as a writer."
    ),
    "SCHEMA_REFERENCED": Entry(409, "Other schemas refer to it.", "Change those first; details list them."),
    "SCHEMA_STATE_CONFLICT": Entry(
        409,
        "The schema is not in a state from which this decision leads, or somebody decided first.",
        "Reload and decide again.",
    ),
    "CONVERSION_IMPOSSIBLE": Entry(
        422,
        "The version cannot be written in the format asked for.",
        "Read it as it was written, or in another of details.formats.",
    ),
    "TASK_NOT_FOUND": Entry(
        404, "There is no such task, or somebody else started it.", "Check the id and who signs."
    ),
    "TASK_STATE_CONFLICT": Entry(
        409, "The task is not in a state that allows this.", "Read its state with GET tasks/{id}."
    ),
    # Operators
    "CREDENTIALS_INVALID": Entry(
        401, "No active operator has this name and password.", "Check both; caps lock?"
    ),
    "LOGIN_LOCKED": Entry(
        429,
        "Too many failed logins for this operator, from this address or from all together.",
        "Wait for Retry-After seconds, or ask an admin to lift the lock.",
    ),
    "SECOND_FACTOR_REQUIRED": Entry(
        401,
        "The password is right; a code is due as well.",
        "Send `code`: from the authenticator app, or a recovery code.",
    ),
    "SECOND_FACTOR_INVALID": Entry(
        401,
        "The code is wrong, too old or used already.",
        "Send the next one; check the clock of the device.",
    ),
    "SECOND_FACTOR_MISSING": Entry(
        403,
        "The server demands a second factor, and this operator has none.",
        "Sign in with a browser and set one up under /account/2fa/.",
    ),
    "SINGLE_SIGN_ON_REQUIRED": Entry(
        403,
        "The server takes operators by single sign-on only; no password, code or passkey of its own counts.",
        "Sign in with the browser at /account/login/; programs: tokens from the admin. Provider down: manage.py allow_password_login.",
    ),
    "TOKEN_INVALID": Entry(
        401,
        "The operator's token is not ours, expired, or revoked.",
        "Refresh it, or log in again: POST operators/tokens.",
    ),
    "TOKEN_REUSED": Entry(
        401,
        "A refresh token came a second time; every token of that login is revoked.",
        "Log in again; if nobody retried, somebody copied the token.",
    ),
    "SCHEMES_MIXED": Entry(
        400,
        "One request is signed by a client and carries an operator's credentials.",
        "Send one of the two.",
    ),
    "CSRF_FAILED": Entry(
        403,
        "A call by session came without the CSRF token, or from another origin.",
        "Send the cookie's value in X-CSRFToken; programs use tokens.",
    ),
    "OWN_ACCOUNT": Entry(403, "Nobody decides about their own role or activity.", "Ask another admin."),
    "LAST_ADMIN": Entry(409, "It would leave no active admin.", "Make another operator an admin first."),
    "OPERATOR_STATE_CONFLICT": Entry(
        409, "The operator is in that state already, or somebody decided first.", "Reload and look again."
    ),
    "USERNAME_TAKEN": Entry(409, "Another operator has this name, in whatever case.", "Choose another one."),
    # Webhooks
    "WEBHOOK_URL_REFUSED": Entry(
        422,
        "Webhooks never go to this URL: its form, scheme, port or address.",
        "See the message; give a public https URL.",
    ),
    "WEBHOOK_STATE_CONFLICT": Entry(
        409,
        "The webhook or the delivery is in a state that does not admit this.",
        "Read it again; resume the webhook first.",
    ),
    "WEBHOOK_LIMIT_REACHED": Entry(
        409,
        "The client has as many webhooks as it may have.",
        "Delete one, or have one of them hear of more.",
    ),
    # Audit
    "AUDIT_EVENT_NOT_FOUND": Entry(
        404, "There is no such audit event, or you may not see it.", "Check the number."
    ),
    "AUDIT_EVENT_NOT_SEALED": Entry(
        409, "The audit event waits for the next checkpoint.", "Ask again in a minute."
    ),
    "AUDIT_LOG_DAMAGED": Entry(
        500, "The seals of the audit log do not fit together.", "Operators: run manage.py verify_audit_log."
    ),
    "KEY_AMBIGUOUS": Entry(409, "The name means several keys.", "Name one by its registration_id."),
    # Requests in general
    "INVALID_REQUEST": Entry(400, "The request does not make sense as it stands.", "See the message."),
    "MALFORMED_JSON": Entry(
        400,
        "The body is not JSON, or JSON that is refused (duplicate names, NaN, too deep).",
        "Send valid JSON in UTF-8.",
    ),
    "VALIDATION_FAILED": Entry(
        422, "The body is well-formed and its content is not valid.", "Mend what details.fields lists."
    ),
    "NOT_AUTHENTICATED": Entry(
        401, "The call needs an authenticated caller.", "Sign the request, or send an operator token."
    ),
    "PERMISSION_DENIED": Entry(403, "The caller is known and may not do this.", "Ask an operator."),
    "NOT_FOUND": Entry(
        404, "There is nothing at this path, or you may not see it.", "Check the path: /docs lists all."
    ),
    "METHOD_NOT_ALLOWED": Entry(
        405, "The path does not take this method.", "The Allow field lists those it takes."
    ),
    "NOT_ACCEPTABLE": Entry(406, "The answer can only be JSON.", "Accept application/json."),
    "LENGTH_REQUIRED": Entry(411, "The body came in chunks without a length.", "Send Content-Length."),
    "BODY_TOO_LARGE": Entry(413, "The body is over the limit.", "Send less; details.limit says how much."),
    "UNSUPPORTED_MEDIA_TYPE": Entry(
        415, "The body is not of a media type that the call takes.", "Send application/json."
    ),
    "URI_TOO_LONG": Entry(414, "The request line is too long.", "Shorten path and query."),
    "HEADERS_TOO_LARGE": Entry(
        431,
        "The header fields are too long, or too many.",
        "Send fewer and shorter ones; a proxy may add some.",
    ),
    "EXPECTATION_FAILED": Entry(
        417, "The request expects something else than 100-continue.", "Leave the Expect field out."
    ),
    "TRANSFER_CODING_UNKNOWN": Entry(
        501,
        "The body came in a transfer coding that is not known here.",
        "Send it as it is, with Content-Length.",
    ),
    "REQUEST_TIMEOUT": Entry(
        408,
        "The request did not arrive in time: 30 s for the header, 30 s between two pieces of the body, 60 s in all.",
        "Send it again, signed anew, without pauses; see to the network.",
    ),
    "PROCESSING_TIMEOUT": Entry(
        503,
        "The server did not finish within 60 s. Whether the request was carried out is not known.",
        "Look whether it was; else send it again, signed anew.",
    ),
    "RATE_LIMITED": Entry(429, "Too many requests.", "Wait for Retry-After seconds."),
    "INTERNAL_ERROR": Entry(
        500,
        "The server failed; the operators find it by the request id.",
        "Try again; report the request id.",
    ),
    "SERVICE_UNAVAILABLE": Entry(
        503,
        "A part of the server is away, or more requests wait than it has memory for.",
        "Try again after Retry-After seconds, signed anew.",
    ),
}


def status_of(code: str) -> int:
    entry = CATALOGUE.get(code)
    return entry.status if entry else 400


def error_docs() -> str:
    """docs/errors.md: a row for each code."""
    rows = [
        f"| `{code}` | {entry.status} | {entry.cause} | {entry.cure} |" for code, entry in CATALOGUE.items()
    ]
    return "\n".join(
        [
            "# Error codes",
            "",
            "Every refusal has the same shape, with a stable `code`:",
            "",
            "```json",
            '{"success": false, "data": null,',
            ' "error": {"code": "NONCE_REUSED", "message": "…", "status": 401, "details": {}},',
            ' "meta": {"timestamp": "…Z", "request_id": "…", "path": "/api/v1/…"}}',
            "```",
            "",
            "`message` is for a person: what happened, why, what to do now. `details` is for a program; "
            "where a signature is refused, its `hint` tells cause and cure. "
            "A 401 carries `WWW-Authenticate: Signature` and an `Accept-Signature` field that says what to sign; "
            "a 429 or 503 carries `Retry-After`. Give the `request_id` to the operators: they find the refusal by it.",
            "",
            "| code | status | cause | cure |",
            "|---|---|---|---|",
            *rows,
            "",
            "This page is written by `manage.py write_error_docs`; do not edit it.",
            "",
        ]
    )
