"""Who may make a call, by signature and scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from keys.authentication import signed_client
from keys.errors import ScopeMissing

if TYPE_CHECKING:  # importing it here would be circular: DRF's views import their default permissions
    from rest_framework.views import APIView


class IsSigned(BasePermission):
    """A signed request, with the scope that the view's `scopes` names for its method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not settings.DATAFOLD_ENABLE_AUTH:
            return True
        client = signed_client(request)
        if client is None:
            return False
        scope = getattr(view, "scopes", {}).get(request.method)
        if scope and not client.has_scope(scope):
            raise ScopeMissing(
                f"The client {client.client_id} lacks the scope {scope} that this call needs. Ask an operator for it.",
                scope=scope,
                scopes=sorted(client.record.scopes),
            )
        return True


class IsSignedOrReading(IsSigned):
    """As `IsSigned`; where DATAFOLD_REQUIRE_AUTH is off, reading needs no signature."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        reading = request.method in SAFE_METHODS
        if reading and not settings.DATAFOLD_REQUIRE_AUTH and signed_client(request) is None:
            return True
        return super().has_permission(request, view)
