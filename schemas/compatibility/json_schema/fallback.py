"""A second opinion, where the rules cannot decide: the canonical forms of `jsonschema_rs`.

Asked only when no counterexample was found, and only for pairs whose alternatives cannot multiply
out of hand: the native code cannot be interrupted. Only its plain "yes" counts.
"""

import json
from typing import Any, Final

import jsonschema_rs

from schemas.compatibility.json_schema.document import Document
from schemas.compatibility.limits import MAX_BRANCHES, MAX_FALLBACK_NODES
from schemas.formats.json_schema_walk import every_subschema
from schemas.formats.patterns import PATTERN_OPTIONS

UNSUITED: Final = (
    '"contentEncoding"',
    '"contentMediaType"',
    '"$dynamicRef"',
    '"$recursiveRef"',
    '"datafold:',
)


def surely_contains(reader: Document, writer: Document) -> bool:
    """Whether every document that `writer` admits is proven to be admitted by `reader`."""
    if writer.dialect != reader.dialect or not (_is_small(writer.root) and _is_small(reader.root)):
        return False
    try:
        verdict = _canonical(reader).covers(_canonical(writer))
    except (ValueError, TypeError, jsonschema_rs.ReferencingError):
        return False
    return bool(verdict == jsonschema_rs.canonical.Containment.YES)


def _is_small(root: Any) -> bool:
    product = nodes = 1
    for _, schema in every_subschema(root):
        nodes += 1
        if isinstance(schema, dict):
            for keyword in ("anyOf", "oneOf"):
                product *= max(len(schema.get(keyword, ())), 1)
            product *= 2 if "if" in schema or "not" in schema or "dependentSchemas" in schema else 1
        if nodes > MAX_FALLBACK_NODES or product > MAX_BRANCHES:
            return False
    text = json.dumps(root)
    return not any(keyword in text for keyword in UNSUITED)


def _canonical(document: Document) -> jsonschema_rs.CanonicalSchema:
    root = document.root
    if isinstance(root, dict):
        root = {**root, "$schema": document.dialect}
    return jsonschema_rs.canonicalize(
        root, validate_formats=True, pattern_options=PATTERN_OPTIONS, offline=True
    )
