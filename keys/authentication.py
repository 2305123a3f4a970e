"""HTTP Message Signatures as a DRF authentication scheme."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from keys.advice import advice_for
from keys.directory import ClientRecord, KeyRecord
from keys.verification import VerifiedSignature, verify_request
from keys.wire import claims_signature
from project.context import current_context


@dataclass(frozen=True, slots=True)
class SignedClient:
    """`request.user` of a signed request: the client, as its key proved."""

    record: ClientRecord
    key: KeyRecord

    is_authenticated = True
    is_active = True
    is_anonymous = False

    @property
    def client_id(self) -> str:
        return self.record.client_id

    def has_scope(self, scope: str) -> bool:
        return scope in self.record.scopes

    def __str__(self) -> str:
        return self.client_id


class SignatureAuthentication(BaseAuthentication):
    """None where no signature is claimed; once one is, it holds or the request is refused."""

    def authenticate(self, request: Request) -> tuple[SignedClient, VerifiedSignature] | None:
        if not settings.DATAFOLD_ENABLE_AUTH or not claims_signature(request._request):
            return None
        # A view that streams its body names it so: the signature is checked before the body is read.
        view = (request.parser_context or {}).get("view")
        verified = verify_request(request._request, read_body=not getattr(view, "streams_body", False))
        context = current_context()
        context.profile = verified.client.profile
        context.log_fields.update(client_id=verified.client.client_id, key=verified.key.thumbprint[:8])
        context.warnings += advice_for(verified.key, datetime.now(UTC))
        return SignedClient(verified.client, verified.key), verified

    def authenticate_header(self, request: Request) -> str:
        """DRF turns a 401 into a 403 without it."""
        return "Signature"


def signed_client(request: Request) -> SignedClient | None:
    """The client that signed, or None (anonymous, or an operator)."""
    user: Any = request.user
    return user if isinstance(user, SignedClient) else None
