"""CSV and JSON export from the admin's lists, safe to open in a spreadsheet and bounded."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from import_export.admin import ExportMixin
from import_export.formats.base_formats import CSV, JSON
from tablib import Dataset
from unfold.contrib.import_export.forms import ExportForm

EXPORT_CAP = 20_000
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_plain_text(cell: Any) -> str:
    """The cell so that no spreadsheet runs it as a formula (OWASP, CSV injection)."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


class SafeCSV(CSV):  # type: ignore[misc]
    """CSV in which every cell is text. Names and metadata come from strangers."""

    def export_data(self, dataset: Dataset, **kwargs: Any) -> Any:
        safe = Dataset(headers=dataset.headers)
        for row in dataset:
            safe.append([as_plain_text(cell) for cell in row])
        return safe.export("csv", **kwargs)


class CsvFirst(ExportForm):  # type: ignore[misc]
    """CSV is chosen until JSON is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("format", "0")


class ExportableAdmin(ExportMixin):  # type: ignore[misc]
    """An Export button that takes the list as it is filtered, up to 20,000 rows."""

    export_form_class = CsvFirst
    formats = [SafeCSV, JSON]

    def export_action(self, request: HttpRequest) -> HttpResponse:
        """As the list does: a filter that is none is dropped, and does not end in an error."""
        try:
            return super().export_action(request)  # type: ignore[no-any-return]
        except IncorrectLookupParameters:
            return redirect(request.path)

    def get_export_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_export_queryset(request)[:EXPORT_CAP]  # type: ignore[no-any-return]
