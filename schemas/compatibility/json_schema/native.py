"""The compiled validator, asked about single subschemas, at a price that is counted before it is paid.

All subschemas of a document, and of the registered schemas that it refers to, are compiled together
once: each by itself would compile again whatever it leads to. Native code cannot be interrupted, so
what it would take is told from the schema and from the size of the value first.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, unquote

import jsonschema_rs

from schemas.compatibility.limits import Budget
from schemas.formats.data_work import Steps, size_of
from schemas.formats.json_schema_compile import Resources, registry_of
from schemas.formats.json_schema_size import json_schema_steps
from schemas.formats.json_schema_walk import DRAFT_2020_12, every_subschema, resolve_local
from schemas.formats.patterns import PATTERN_OPTIONS
from schemas.formats.references import SCHEME

ROOT: Final = "schema:root"
CALL_WORK: Final = 300
"""Steps of 10 ns that any question takes."""
BUCKET: Final = 64
"""The validator looks for each property that its schema names, so the names are kept few."""

Place = tuple[str, str]


class Native:
    """Answers for the subschemas of `root` and of `resources`; counts on `work`, a budget of steps of 10 ns."""

    def __init__(self, root: Any, resources: Resources, work: Budget) -> None:
        self.work = work
        self._root = root
        self._resources = resources
        self._known_steps: dict[tuple[int, int], float] = {}

    def admits(self, schema: dict[str, Any], value: Any) -> bool | None:
        """Whether `schema`, a very part of these documents, admits `value`; None where it cannot be told.

        Raises `CompatibilityLimit` if that would take too long.
        """
        place = self._places.get(id(schema))
        if place is None or self._validator is None:
            return None
        self.work.spend(CALL_WORK + self._work(id(schema), value))
        try:
            return bool(self._validator.is_valid({place[0]: {place[1]: value}}))
        except ValueError:
            return None

    def _work(self, key: int, value: Any) -> float:
        if isinstance(value, dict | list):
            size = size_of(value)
            depth, amount = size.depth, size.values + size.characters
        else:
            depth, amount = 0, 1 + len(value) if isinstance(value, str) else 1
        steps = self._known_steps.get((key, depth))
        if steps is None:
            steps = self._known_steps[key, depth] = self.steps.of_node(key, depth)
        return steps * amount

    @cached_property
    def steps(self) -> Steps[Any]:
        """What one value takes, of any depth, against any of the subschemas."""
        return json_schema_steps(self._root, self._resources, explained=False, of_all=True)

    @cached_property
    def _pointers(self) -> dict[int, str]:
        """Where each subschema is: the address of its document and a JSON pointer."""
        found: dict[int, str] = {}
        registered = (
            (f"{SCHEME}{name}/{version}", root) for (name, version), root in self._resources.items()
        )
        for address, root in ((ROOT, self._root), *registered):
            for pointer, schema in _every_place(root):
                if isinstance(schema, dict):
                    found.setdefault(id(schema), f"{address}#{quote(pointer, safe='/~')}")
        return found

    @cached_property
    def _places(self) -> dict[int, Place]:
        return {key: (str(index // BUCKET), str(index % BUCKET)) for index, key in enumerate(self._pointers)}

    @cached_property
    def _validator(self) -> jsonschema_rs.Validator | None:
        buckets: dict[str, dict[str, Any]] = {}
        for key, (bucket, name) in self._places.items():
            buckets.setdefault(bucket, {})[name] = {"$ref": self._pointers[key]}
        questions = {bucket: {"properties": names} for bucket, names in buckets.items()}
        try:
            return jsonschema_rs.validator_for(
                {"$schema": DRAFT_2020_12, "properties": questions},
                registry=registry_of(self._resources, (ROOT, without_id(self._root))),
                validate_formats=True,
                pattern_options=PATTERN_OPTIONS,
                offline=True,
            )
        except (ValueError, jsonschema_rs.ReferencingError):
            return None


def without_id(root: Any) -> Any:
    """`root` under no name of its own; a plain fragment, which names it for its own references, stays."""
    if not isinstance(root, dict) or str(root.get("$id", "")).startswith("#"):
        return root
    return {key: value for key, value in root.items() if key != "$id"}


def _every_place(root: Any) -> Iterator[tuple[str, Any]]:
    """Every subschema with its pointer; those too that only a reference into an unknown keyword makes one."""
    known: set[int] = set()
    starts: list[tuple[str, Any]] = [("", root)]
    while starts:
        start, within = starts.pop()
        if id(within) in known:
            continue
        for below, schema in every_subschema(within):
            known.add(id(schema))
            yield start + below, schema
            reference = schema.get("$ref") if isinstance(schema, dict) else None
            if isinstance(reference, str) and reference.startswith("#/"):
                pointer = unquote(reference[1:])
                try:
                    starts.append((pointer, resolve_local(root, reference, {})))
                except LookupError:
                    continue
