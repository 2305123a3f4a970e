"""Data that one Avro schema writes and the other cannot read: written and read with `fastavro`."""

import io
from typing import Any, Final

import fastavro

from schemas.compatibility.avro import AvroFinding
from schemas.compatibility.report import Counterexample
from schemas.formats.avro_data import AvroValidator
from schemas.formats.avro_model import AvroType
from schemas.formats.problems import FormatError

MAX_SHOWN_BYTES: Final = 10_000
"""A fixed that is longer is not made up for a counterexample."""

Datum = tuple[Any, Any]
"""(the datum as `fastavro` takes it, the same in the JSON encoding of the specification)"""


class AvroWitness:
    """Makes counterexamples for one writer and one reader."""

    def __init__(self, writer: Any, reader: Any, *, alone: bool) -> None:
        """`alone`: there is one finding only, so that it is what reading fails for.

        Raises `FormatError` if one of the two is not usable.
        """
        self._cause = (
            "Reading fails" if alone else "Reading fails, for this difference or another of the list"
        )
        try:
            self.writer = fastavro.parse_schema(writer)
            self.reader = fastavro.parse_schema(reader)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FormatError("SCHEMA_INVALID", f"The schema cannot be compiled: {error}") from error
        self.validator = AvroValidator(writer)

    def of_finding(self, finding: AvroFinding) -> Counterexample | None:
        """A document of the writer that leads to `finding`; None if reading it does not fail."""
        datum = _least(finding.writer, finding.symbol, ())
        for avro_type, token in reversed(finding.trail):
            if datum is None:
                return None
            datum = _around(avro_type, token, datum)
        return None if datum is None else self._checked(*datum)

    def _checked(self, native: Any, document: Any) -> Counterexample | None:
        written = io.BytesIO()
        try:
            fastavro.schemaless_writer(written, self.writer, native)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
            return None
        if not self.validator.is_valid(document):
            return None
        written.seek(0)
        try:
            fastavro.schemaless_reader(written, self.writer, self.reader)
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            EOFError,
            OverflowError,
            fastavro.read.SchemaResolutionError,
        ) as error:
            return Counterexample(document, f"{self._cause}: {error}"[:300])
        return None


def _around(avro_type: AvroType, token: str | int, datum: Datum) -> Datum | None:
    native, document = datum
    if avro_type.kind == "union" and isinstance(token, int):
        branch = avro_type.branches[token]
        return _tagged(branch, datum)
    if avro_type.kind == "array":
        return [native], [document]
    if avro_type.kind == "map":
        return {"key": native}, {"key": document}
    record = _least(avro_type, None, (), skip=str(token))
    return None if record is None else ({**record[0], token: native}, {**record[1], token: document})


def _tagged(branch: AvroType, datum: Datum) -> Datum:
    if branch.kind == "null":
        return None, None
    name = branch.name or branch.kind
    return (name, datum[0]), {name: datum[1]}


def _least(
    avro_type: AvroType, symbol: str | None, above: tuple[int, ...], skip: str | None = None
) -> Datum | None:
    """A small datum of a type; None if every one is infinite or there is none."""
    kind = avro_type.kind
    if id(avro_type) in above or len(above) > 60:
        return None
    if kind == "union":
        for branch in sorted(avro_type.branches, key=lambda b: b.kind != "null"):
            if (datum := _least(branch, None, (*above, id(avro_type)))) is not None:
                return _tagged(branch, datum)
        return None
    if kind == "record":
        native, document = {}, {}
        for entry in avro_type.fields:
            if entry.name == skip:
                continue
            datum = _least(entry.type, None, (*above, id(avro_type)))
            if datum is None:
                return None
            native[entry.name], document[entry.name] = datum
        return native, document
    if kind == "enum":
        chosen = symbol or (avro_type.symbols[0] if avro_type.symbols else None)
        return None if chosen is None else (chosen, chosen)
    if kind == "fixed" and avro_type.size > MAX_SHOWN_BYTES:
        return None
    if kind in ("bytes", "fixed"):
        text = "\u00ff" * (avro_type.size if kind == "fixed" else 1)
        return text.encode("latin-1"), text
    plain: dict[str, Any] = {
        "null": None, "boolean": False, "int": 0, "long": 0, "float": 1.5, "double": 1.5, "string": "a",
        "array": [], "map": {},
    }  # fmt: skip
    return plain[kind], plain[kind]
