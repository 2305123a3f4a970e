"""Validating documents against a registered version."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from schemas.documents import invalid
from schemas.formats import FormatError, Problem
from schemas.formats.data_work import Allowance
from schemas.formats.validator import Validator, validator_for
from schemas.models import SchemaVersion
from schemas.references import resources_for

CACHE_SIZE = 200
MAX_REFUSED = 100

_compiled: OrderedDict[tuple[int, str], Validator] = OrderedDict()
_lock = threading.Lock()


def validator_of(version: SchemaVersion) -> Validator:
    """The compiled validator of a version. A version is immutable, so it is compiled once per process.

    Raises `SchemaInvalid` if it cannot be compiled.
    """
    key = (version.pk, version.digest)
    found = _compiled.get(key)
    if found is not None:
        return found
    try:
        compiled = validator_for(version.format, version.content, resources=resources_for(version))
    except FormatError as error:
        raise invalid(version.format, error.problems or [Problem(error.code, "", error.message)]) from error
    with _lock:
        _compiled[key] = compiled
        while len(_compiled) > CACHE_SIZE:
            _compiled.popitem(last=False)
    return compiled


def validate_document(version: SchemaVersion, document: Any) -> dict[str, Any]:
    """Whether the version admits a document, and every problem with its pointer."""
    problems = validator_of(version).problems(document)
    return {"valid": not problems, "problems": [problem.to_dict() for problem in problems]}


def validate_batch(version: SchemaVersion, documents: Sequence[Any]) -> dict[str, Any]:
    """As `validate_document` for many; `results` has the refused ones, at most 100 of them."""
    validator = validator_of(version)
    results: list[dict[str, Any]] = []
    refused = 0
    allowance = Allowance()
    for index, document in enumerate(documents):
        problems = validator.problems(document, allowance)
        if not problems:
            continue
        refused += 1
        if len(results) < MAX_REFUSED:
            results.append({"index": index, "problems": [problem.to_dict() for problem in problems]})
    return {
        "valid": not refused,
        "problems": [],
        "count": len(documents),
        "invalid": refused,
        "results": results,
    }
