"""Lists of schemas: filters, ordering, cursor."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import Client
from project.api.openapi import PAGE
from project.api.pagination import WeighedCursorPagination
from project.db.weight import Weight
from schemas.formats import FORMATS
from schemas.models import Schema, SchemaState, SchemaVersion

ORDERINGS = ("name", "-name", "created_at", "-created_at", "updated_at", "-updated_at")

LIST_PARAMETERS = [
    *PAGE,
    OpenApiParameter("owner", description="client_id of the owner."),
    OpenApiParameter("state", enum=SchemaState.values, description="Only schemas in this state."),
    OpenApiParameter("format", enum=FORMATS, description="Format of the newest version."),
    OpenApiParameter("q", description="Text in the name, the description or a field's name; any case."),
    OpenApiParameter("ordering", enum=ORDERINGS, description="`name` by default."),
]


class FilterSerializer(serializers.Serializer[Any]):
    owner = serializers.CharField(required=False, max_length=64)
    state = serializers.ChoiceField(SchemaState.choices, required=False)
    format = serializers.ChoiceField(FORMATS, required=False)
    q = serializers.CharField(required=False, max_length=100)
    ordering = serializers.ChoiceField(ORDERINGS, required=False, default="name")


class SchemaPagination(WeighedCursorPagination):
    weight = Subquery(
        SchemaVersion.objects.filter(schema_id=OuterRef("pk"), number=OuterRef("served_number"))
        .order_by()
        .values(weight=Weight("content"))[:1]
    )

    def __init__(self, ordering: str) -> None:
        super().__init__()
        # Two schemas may share a time, never a name.
        self.ordering = (ordering,) if "name" in ordering else (ordering, "name")  # type: ignore[assignment]

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        return tuple(self.ordering)


def list_schemas(request: Request, *, view: APIView) -> tuple[SchemaPagination, list[Schema]]:
    """The page that the request asks for, and the paginator that answers with it.

    Raises:
        ValidationError: a filter has a value that it does not take.
    """
    serializer = FilterSerializer(data=request.query_params.dict())
    serializer.is_valid(raise_exception=True)
    paginator = SchemaPagination(serializer.validated_data["ordering"])
    schemas = _filtered(serializer.validated_data)
    page = paginator.paginate_queryset(schemas, request, view=view)
    return paginator, list(page or [])


def _filtered(filters: dict[str, Any]) -> QuerySet[Schema]:
    schemas = Schema.objects.alive().select_related("owner", "deprecated_for")
    if "owner" in filters:
        # Its key first: joined by name, PostgreSQL would walk through everybody's schemas.
        owner = Client.objects.filter(client_id=filters["owner"]).values_list("pk", flat=True).first()
        schemas = schemas.filter(owner_id=owner) if owner is not None else schemas.none()
    if "state" in filters:
        schemas = schemas.filter(state=filters["state"])
    if "format" in filters:
        schemas = schemas.filter(served_format=filters["format"])
    if "q" in filters:
        schemas = schemas.holding(filters["q"].lower())
    return schemas
