"""A JSON Schema document and its subschemas, read alike whatever the dialect.

An `Atom` is one subschema, or the denial of one. Its keywords are those of 2020-12: what earlier
drafts spell otherwise is translated when it is first looked at, and annotations are left out.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import count
from typing import Any, Final
from urllib.parse import unquote

import jsonschema_rs

from schemas.compatibility.json_schema.native import Native
from schemas.compatibility.limits import MAX_NATIVE_WORK, Budget
from schemas.formats.json_schema_compile import Resources
from schemas.formats.json_schema_walk import (
    DRAFT_2020_12,
    anchors_of,
    dialect_of,
    every_subschema,
    resolve_local,
)
from schemas.formats.patterns import PATTERN_OPTIONS
from schemas.formats.problems import step
from schemas.formats.references import parse_reference

DRAFT_4: Final = "http://json-schema.org/draft-04/schema"
DRAFT_2019_09: Final = "https://json-schema.org/draft/2019-09/schema"
ANNOTATED_CONTENT: Final = (DRAFT_2020_12, DRAFT_2019_09)

DYNAMIC: Final = frozenset({"$dynamicRef", "$recursiveRef"})
ASSERTIONS: Final = frozenset(
    {
        "type",
        "enum",
        "const",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minItems",
        "maxItems",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "unevaluatedItems",
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "required",
        "dependentRequired",
        "dependentSchemas",
        "minProperties",
        "maxProperties",
        "unevaluatedProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
    }
)
SINCE_2019: Final = frozenset(
    {
        "prefixItems",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedItems",
        "unevaluatedProperties",
        "minContains",
        "maxContains",
        "$dynamicRef",
        "$recursiveRef",
    }
)
IN_PLACE: Final = frozenset(
    [
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "$ref",
        "$dynamicRef",
        "contains",
    ]
)


_SERIALS: Final = count()


class Document:
    """One schema document; `resources` are the registered schemas it refers to.

    These are documents too, with what the `outermost` one shares with them.
    """

    def __init__(
        self,
        root: Any,
        resources: Resources | None = None,
        *,
        work: Budget | None = None,
        outermost: "Document | None" = None,
    ) -> None:
        self.root = root
        self.dialect = dialect_of(root)
        self.resources = resources or {}
        self.atoms: dict[int, Atom] = {}
        self.outermost = outermost or self
        self.others: dict[tuple[str, str], Document] = {}
        if outermost is None:
            self.native = Native(root, self.resources, work or Budget(MAX_NATIVE_WORK))

    @cached_property
    def _anchors(self) -> dict[str, Any]:
        return anchors_of(self.root)

    @cached_property
    def scopes_are_plain(self) -> bool:
        """No subschema moves the base of its references elsewhere."""
        return all(
            not pointer or not isinstance(schema, dict) or not isinstance(schema.get("$id"), str)
            for pointer, schema in every_subschema(self.root)
        )

    @property
    def means_one_thing(self) -> bool:
        """What a subschema says does not depend on the documents that led to it.

        A `$dynamicRef` of a registered schema leads to what the document around names so.
        """
        return self.outermost is self or not self.outermost.resources_are_dynamic

    @cached_property
    def resources_are_dynamic(self) -> bool:
        return any(
            not DYNAMIC.isdisjoint(schema)
            for root in self.resources.values()
            for _, schema in every_subschema(root)
            if isinstance(schema, dict)
        )

    def admits(self, schema: dict[str, Any], value: Any) -> bool | None:
        """As `Atom.admits`, for a subschema of this document."""
        return self.outermost.native.admits(schema, value) if self.means_one_thing else None

    def atom(self, schema: Any, pointer: str) -> "Atom":
        known = self.atoms.get(id(schema)) if isinstance(schema, dict) else None
        if known is None:
            known = Atom(self, schema, pointer)
            if isinstance(schema, dict):
                self.atoms[id(schema)] = known
        return known

    def resolve(self, reference: str) -> "Atom | None":
        """The subschema that `reference` names; None where it cannot be told without a network."""
        named = parse_reference(reference)
        if named is not None:
            return self._resolve_elsewhere(named, reference)
        try:
            if not self.scopes_are_plain:
                return None
            target = resolve_local(self.root, reference, self._anchors)
        except (LookupError, ValueError):
            return None
        pointer = unquote(reference[1:])
        if pointer and not pointer.startswith("/"):
            pointer = next((at for at, schema in every_subschema(self.root) if schema is target), pointer)
        return self.atom(target, pointer) if isinstance(target, dict | bool) else None

    def _resolve_elsewhere(self, named: tuple[str, str], reference: str) -> "Atom | None":
        if named not in self.resources:
            return None
        others = self.outermost.others
        if named not in others:
            others[named] = Document(self.resources[named], self.resources, outermost=self.outermost)
        return others[named].resolve(f"#{reference.partition('#')[2]}")


class Atom:
    """One subschema of a document."""

    def __init__(self, document: Document | None, schema: Any, pointer: str) -> None:
        self.document = document
        self.schema = schema
        self.pointer = pointer
        self.serial = next(_SERIALS)
        self.alternatives: Any = None  # what Conjunction makes of them, kept here

    @cached_property
    def keywords(self) -> dict[str, Any]:
        """The assertions in 2020-12 spelling; subschemas in it are atoms."""
        if self.schema is True:
            return {}
        if self.schema is False:
            return {"never": True}
        return _Reading(self).keywords()

    @cached_property
    def reference(self) -> "Atom | None":
        keywords = self.keywords
        return self.document.resolve(keywords["$ref"]) if self.document and "$ref" in keywords else None

    @cached_property
    def _compiled(self) -> jsonschema_rs.Validator:
        return jsonschema_rs.Draft202012Validator(self.schema, pattern_options=PATTERN_OPTIONS, offline=True)

    def admits(self, value: Any) -> bool | None:
        """Whether the subschema admits `value`, by its own dialect; None where it cannot be told.

        Raises `CompatibilityLimit` if that would take too long.
        """
        if isinstance(self.schema, bool):
            return self.schema
        if self.document is not None:
            return self.document.admits(self.schema, value)
        try:
            return bool(self._compiled.is_valid(value))
        except ValueError:
            return None

    @cached_property
    def text(self) -> str:
        """The subschema in a form to compare."""
        return json.dumps(self.schema, sort_keys=True)

    @cached_property
    def references(self) -> tuple[str, ...]:
        """Every `$ref` in the subschema and below it."""
        found = (schema.get("$ref") for _, schema in self._every_subschema())
        return tuple({reference: None for reference in found if isinstance(reference, str)})

    @cached_property
    def is_dynamic(self) -> bool:
        """Something in it depends on the documents that led to it."""
        return any(not DYNAMIC.isdisjoint(schema) for _, schema in self._every_subschema())

    def _every_subschema(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return (entry for entry in every_subschema(self.schema) if isinstance(entry[1], dict))

    def asserts_content(self) -> bool:
        return self.document is not None and self.document.dialect not in ANNOTATED_CONTENT


def synthetic(schema: Mapping[str, Any]) -> Atom:
    """A subschema of no document: knowledge gained while reasoning."""
    return Atom(None, dict(schema), "")


@lru_cache(maxsize=4096)
def having(name: str) -> Atom:
    """Objects that have the property `name`."""
    return synthetic({"type": "object", "required": [name]})


class _Reading:
    """Translates the keywords of one atom."""

    def __init__(self, atom: Atom) -> None:
        self.atom = atom
        self.schema: dict[str, Any] = atom.schema

    def keywords(self) -> dict[str, Any]:
        schema = self.schema
        dialect = self.atom.document.dialect if self.atom.document else DRAFT_2020_12
        if isinstance(schema.get("$ref"), str) and dialect not in ANNOTATED_CONTENT:
            return {"$ref": schema["$ref"]}
        known = ASSERTIONS if dialect in ANNOTATED_CONTENT else ASSERTIONS - SINCE_2019
        found = {key: value for key, value in schema.items() if key in known}
        for key in ("allOf", "anyOf", "oneOf"):
            if key in found:
                found[key] = [self.child(entry, key, index) for index, entry in enumerate(found[key])]
        for key in ("not", "contains", "propertyNames", "additionalProperties"):
            if key in found:
                found[key] = self.child(found[key], key)
        for key in ("properties", "patternProperties", "dependentSchemas"):
            if key in found:
                found[key] = {name: self.child(entry, key, name) for name, entry in found[key].items()}
        self.condition(found)
        self.items(found)
        self.dependencies(found)
        self.values(found, dialect)
        self.unevaluated(found)
        if self.atom.asserts_content():
            content = {key: schema[key] for key in ("contentEncoding", "contentMediaType") if key in schema}
            if content:
                found["content"] = content
        return found

    def child(self, schema: Any, *tokens: str | int) -> Atom:
        pointer = step(self.atom.pointer, *tokens)
        return self.atom.document.atom(schema, pointer) if self.atom.document else Atom(None, schema, pointer)

    def condition(self, found: dict[str, Any]) -> None:
        if "if" in self.schema and ("then" in self.schema or "else" in self.schema):
            found["if"] = self.child(self.schema["if"], "if")
            for key in ("then", "else"):
                found[key] = self.child(self.schema.get(key, True), key)

    def items(self, found: dict[str, Any]) -> None:
        schema = self.schema
        if isinstance(schema.get("items"), list):
            found["prefixItems"] = [self.child(entry, "items", i) for i, entry in enumerate(schema["items"])]
            if "additionalItems" in schema:
                found["items"] = self.child(schema["additionalItems"], "additionalItems")
            return
        if isinstance(schema.get("prefixItems"), list) and not self.atom.asserts_content():
            found["prefixItems"] = [
                self.child(e, "prefixItems", i) for i, e in enumerate(schema["prefixItems"])
            ]
        if "items" in schema:
            found["items"] = self.child(schema["items"], "items")

    def dependencies(self, found: dict[str, Any]) -> None:
        for name, entry in self.schema.get("dependencies", {}).items():
            if isinstance(entry, list):
                found["dependentRequired"] = found.get("dependentRequired", {}) | {name: entry}
            else:
                dependent = {name: self.child(entry, "dependencies", name)}
                found["dependentSchemas"] = found.get("dependentSchemas", {}) | dependent

    def values(self, found: dict[str, Any], dialect: str) -> None:
        if isinstance(found.get("type"), str):
            found["type"] = [found["type"]]
        if "const" in found:
            found["constants"] = [[found.pop("const")]]
        if "enum" in found:
            found["constants"] = [*found.get("constants", []), found.pop("enum")]
        for exclusive, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if dialect != DRAFT_4 or not isinstance(found.get(exclusive), bool):
                continue
            if found.pop(exclusive) and plain in found:
                found[exclusive] = found.pop(plain)

    def unevaluated(self, found: dict[str, Any]) -> None:
        """Without in-place applicators beside it `unevaluated…` is `additional…`."""
        beside = not IN_PLACE.isdisjoint(self.schema)
        for key, same_as in (
            ("unevaluatedItems", "items"),
            ("unevaluatedProperties", "additionalProperties"),
        ):
            if key not in found:
                continue
            if same_as in found or found[key] is True:
                del found[key]
            elif not beside:
                del found[key]
                found[same_as] = self.child(self.schema[key], key)
