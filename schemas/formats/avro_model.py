"""An Avro schema as a graph of types, its names resolved."""

from dataclasses import dataclass, field
from typing import Any, Final

PRIMITIVES: Final = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
NAMED: Final = ("record", "error", "enum", "fixed")
COMPLEX: Final = (*NAMED, "array", "map")


@dataclass(slots=True)
class AvroField:
    """A field of a record. `has_default` tells a default of null from none."""

    name: str
    type: "AvroType"
    pointer: str
    aliases: tuple[str, ...] = ()
    has_default: bool = False
    default: Any = None
    doc: str | None = None
    order: str | None = None


@dataclass(slots=True, eq=False)
class AvroType:
    """A type of an Avro schema; what does not belong to its `kind` is left empty.

    `kind` is a primitive's name, `record` (errors too), `enum`, `fixed`, `array`, `map` or `union`.
    `name` is the full name of a named type, `aliases` are full names. A recursive type contains itself.
    """

    kind: str
    pointer: str
    name: str = ""
    aliases: tuple[str, ...] = ()
    fields: list[AvroField] = field(default_factory=list)
    symbols: tuple[str, ...] = ()
    default_symbol: str | None = None
    size: int = 0
    items: "AvroType | None" = None
    branches: list["AvroType"] = field(default_factory=list)
    logical: dict[str, Any] = field(default_factory=dict)
    doc: str | None = None

    @property
    def element(self) -> "AvroType":
        """The items of an array, the values of a map."""
        if self.items is None:
            raise TypeError(f"a {self.kind} has no items")
        return self.items

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def title(self) -> str:
        """How messages call this type."""
        return f"{self.kind} {self.name}" if self.name else self.kind
