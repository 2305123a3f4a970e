"""What conversions share: losses, and reading a JSON Schema node by node."""

import keyword
import re
from dataclasses import dataclass
from typing import Any, Final

from schemas.formats.json_schema_walk import DRAFT_7, anchors_of, dialect_of, resolve_local
from schemas.formats.limits import MAX_NODES
from schemas.formats.problems import FormatError, step

ANNOTATIONS: Final = frozenset(
    {"$schema", "$id", "$defs", "definitions", "$comment", "title", "$anchor", "examples"}
)

_SAID_TWICE: Final = "It is said in two places that hold at once; only one of them is kept."


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the target cannot say: where it stood in the JSON Schema, and what it was."""

    pointer: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"pointer": self.pointer, "message": self.message}


class Source:
    """A JSON Schema that is being converted, with its references and the losses so far."""

    def __init__(self, root: Any, lost: list[Loss]) -> None:
        self.root = root
        self.lost = lost
        self._seen = set(lost)
        self.is_draft_7 = dialect_of(root) == DRAFT_7
        self._anchors = anchors_of(root)
        self._left = MAX_NODES

    def spend(self, values: int) -> None:
        """Count what is written. Raises `FormatError` when references have multiplied it beyond measure."""
        self._left -= values
        if self._left < 0:
            raise FormatError(
                "CONVERSION_IMPOSSIBLE",
                f"With its references written out the schema would hold over {MAX_NODES} values.",
            )

    def lose(self, pointer: str, message: str) -> None:
        loss = Loss(pointer, message)
        if loss not in self._seen and len(self.lost) < 1_000:
            self._seen.add(loss)
            self.lost.append(loss)

    def lose_keywords(self, schema: Any, pointer: str, kept: frozenset[str], target: str) -> None:
        """Every keyword of `schema` that is not `kept` is lost."""
        for key in schema if isinstance(schema, dict) else ():
            if key not in kept and key not in ANNOTATIONS:
                self.lose(step(pointer, key), f"`{key}` cannot be said in {target}.")

    def lose_required(self, schema: dict[str, Any], pointer: str, missing: str) -> None:
        for key in schema.get("required", ()):
            if key not in schema.get("properties", {}):
                self.lose(step(pointer, "required"), f"{key!r} is required but not described{missing}.")

    def meaning(self, schema: Any) -> Any:
        """`schema` without what says nothing: in draft 7 that is all that stands beside `$ref`."""
        if self.is_draft_7 and isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
            return {"$ref": schema["$ref"]}
        return schema

    def joined(self, below: dict[str, Any], beside: dict[str, Any], pointer: str) -> dict[str, Any]:
        """One schema that says what both say, as far as one can; the rest of `below` is lost."""
        made = {**below, **beside}
        for key in below.keys() & beside.keys():
            if key == "properties":
                made[key] = {**below[key], **beside[key]}
                twice = [
                    name
                    for name in beside[key]
                    if below[key].get(name, beside[key][name]) != beside[key][name]
                ]
                for name in twice:
                    self.lose(step(pointer, key, name), _SAID_TWICE)
            elif key == "required":
                made[key] = list(dict.fromkeys([*below[key], *beside[key]]))
            elif below[key] != beside[key] and key not in ANNOTATIONS | {"description", "default"}:
                self.lose(step(pointer, key), _SAID_TWICE)
        for one, other in (below, beside), (beside, below):
            if "additionalProperties" in one and other.get("properties"):
                self.lose(
                    step(pointer, "additionalProperties"), "It was about some of the properties here only."
                )
        return made

    def target_of(self, schema: Any) -> Any:
        """What the local `$ref` of `schema` names; None if it is none of this document's."""
        try:
            return resolve_local(self.root, schema["$ref"], self._anchors)
        except LookupError:
            return None

    def nullable(self, schema: Any, pointer: str) -> tuple[Any, bool]:
        """(`schema` without null, whether it had null)."""
        schema = self.meaning(schema)
        if not isinstance(schema, dict):
            return schema, False
        types, values = schema.get("type"), schema.get("enum")
        if isinstance(types, list) and "null" in types:
            rest = [name for name in types if name != "null"]
            return {**schema, "type": rest[0] if len(rest) == 1 else rest}, True
        if isinstance(values, list) and None in values and len(values) > 1 and "type" not in schema:
            return {**schema, "enum": [value for value in values if value is not None]}, True
        for key in ("anyOf", "oneOf"):
            branches = schema.get(key)
            if isinstance(branches, list) and {"type": "null"} in branches and len(branches) == 2:
                other = next((branch for branch in branches if branch != {"type": "null"}), None)
                if isinstance(other, dict):
                    beside = {name: value for name, value in schema.items() if name != key}
                    return self.joined(beside, self.meaning(other), pointer), True
        return schema, False


def identifier(name: str, fallback: str = "field") -> str:
    """`name` as an identifier of letters, digits and underscores."""
    made = re.sub(r"[^A-Za-z0-9_]", "_", name) or fallback
    made = made if not made[0].isdigit() else f"_{made}"
    return f"{made}_" if keyword.iskeyword(made) else made


def type_name(name: str) -> str:
    """`name` in PascalCase."""
    return identifier(
        "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name) if word), "Type"
    )


def quoted(text: str) -> str:
    """`text` as it may stand in a one-line comment or docstring."""
    return " ".join(text.split()).replace("*/", "* /").replace('"""', "'''").replace("\\", "\\\\")
