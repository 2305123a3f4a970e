"""How large and how deep a schema document may be. Every limit of this package in one place.

They bound the time and memory that one hostile document can cost; the largest real schemas that
we know of stay far below them.
"""

from typing import Final

MAX_PROBLEMS: Final = 100
"""Problems listed for one document; checking stops there."""

MAX_DOCUMENT_BYTES: Final = 512 * 1024
"""Bytes of a schema document as compact JSON, in UTF-8."""

MAX_DEPTH: Final = 64
"""Levels of JSON nesting in a schema document."""

MAX_NODES: Final = 50_000
"""Values (objects, arrays, strings, numbers, ...) in a schema document."""

MAX_FIELDS: Final = 2_000
"""Fields or properties that one schema document may define, nested ones counted."""

MAX_NEEDED: Final = 10_000
"""Names in all the `required` lists of a schema document."""

MAX_ENUM_VALUES: Final = 5_000
"""Values or symbols in one enumeration."""

MAX_NAME_LENGTH: Final = 128
"""Characters in the name of a field."""

MAX_DESCRIPTION_LENGTH: Final = 2_000
"""Characters in the description of a field."""

MAX_PATTERN_LENGTH: Final = 1_000
"""Characters in a regular expression."""

MAX_PATTERN_BYTES: Final = 1024 * 1024
"""Bytes that one compiled regular expression may take."""

MAX_PATTERNS_BYTES: Final = 32 * 1024 * 1024
"""Bytes that all the compiled regular expressions of a schema document may take, by a rough estimate."""

MAX_PATTERN_STATES: Final = 5_000
"""Places of a regular expression with its repetitions written out."""

MAX_FIXED_SIZE: Final = 2**31 - 1
"""Bytes of an Avro fixed: implementations hold them in 32 bits."""

MAX_REFERENCES: Final = 100
"""Other registered schemas that one document may refer to."""

MAX_PRECISION: Final = 38
"""Digits of a decimal: what PostgreSQL, Avro implementations and warehouses agree on."""

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON implementation reads alike (RFC 8785 section 3.2.2.3, RFC 7493)."""

MAX_UNFOLDED: Final = 10_000
"""Subschemas that one value may have to be checked against, references followed."""
