"""How others authenticate: one DRF view that reads one row, behind each scheme."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_api_key.permissions import HasAPIKey
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from benchmarks.site.models import PeerKey, PeerNonce
from schemas.models import SchemaVersion


class PlainView(APIView):
    """A plain DRF view without authentication that reads one row."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = [AllowAny]
    renderer_classes = [JSONRenderer]

    def get(self, request: Request, name: str, number: int) -> Response:
        row = SchemaVersion.objects.values("number", "version", "format", "content", "fingerprint").get(
            schema__name=name, number=number
        )
        return Response(row)


class TokenView(PlainView):
    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]


class HS256View(PlainView):
    authentication_classes = [JWTAuthentication]
    permission_classes = [IsAuthenticated]


class EdDSAAuthentication(BaseAuthentication):
    """simplejwt's own backend with an EdDSA key, then the user's row as its authentication reads it."""

    @staticmethod
    @lru_cache
    def backend_from_settings() -> TokenBackend:
        seed = sha256(settings.SECRET_KEY.encode()).digest()
        private = Ed25519PrivateKey.from_private_bytes(seed)
        return TokenBackend(
            "EdDSA",
            private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        )

    def authenticate(self, request: Request) -> tuple[Any, Any]:
        try:
            token = self.backend_from_settings().decode(
                request.META["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
            )
        except (KeyError, TokenBackendError) as error:
            raise AuthenticationFailed from error
        return get_user_model().objects.get(pk=token["user_id"]), token


class EdDSAView(PlainView):
    authentication_classes = [EdDSAAuthentication]
    permission_classes = [IsAuthenticated]


class ApiKeyView(PlainView):
    permission_classes = [HasAPIKey]


class _Resolver(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        row = PeerKey.objects.get(key_id=key_id)
        return Ed25519PublicKey.from_public_bytes(bytes(row.public_key))

    def resolve_private_key(self, key_id: str) -> Any:
        raise NotImplementedError("The server only verifies.")


class _Message:
    def __init__(self, request: Request) -> None:
        self.method = request.method
        self.url = request.build_absolute_uri()
        self.headers = dict(request.headers)


class LibraryAuthentication(BaseAuthentication):
    """http-message-signatures with key and nonce in the database."""

    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=_Resolver())

    def authenticate(self, request: Request) -> tuple[Any, Any]:
        results = self.verifier.verify(_Message(request))
        parameters = results[0].parameters
        try:
            PeerNonce.objects.create(nonce=parameters["nonce"])
        except IntegrityError as error:
            raise AuthenticationFailed("replay") from error
        return get_user_model()(username=parameters["keyid"]), results[0]


class LibraryView(PlainView):
    authentication_classes = [LibraryAuthentication]
    permission_classes = [IsAuthenticated]
