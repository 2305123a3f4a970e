from __future__ import annotations

from django.urls import URLPattern, path

from keys.api.authorize import AuthorizeView
from keys.api.client import KeyRevokeView, KeyStatusView, KeyUpdateView
from keys.api.inspect import InspectView
from keys.api.registration import RegisterView
from keys.api.rotation import RotateView
from keys.api.signatures import VerifyDetachedView
from project.api.routes import route

urlpatterns: list[URLPattern] = [
    *route("crypto/keys/register", RegisterView.as_view(), "key-register"),
    *route("crypto/keys/status/<str:client_id>", KeyStatusView.as_view(), "key-status"),
    *route("crypto/keys/update/<str:client_id>", KeyUpdateView.as_view(), "key-update"),
    *route("crypto/keys/revoke/<str:client_id>", KeyRevokeView.as_view(), "key-revoke"),
    *route("crypto/keys/rotate", RotateView.as_view(), "key-rotate"),
    *route("crypto/signatures/verify", VerifyDetachedView.as_view(), "signature-verify"),
    *route("signatures/inspect", InspectView.as_view(), "signature-inspect"),
    path("authorize", AuthorizeView.as_view(), name="authorize"),
]
