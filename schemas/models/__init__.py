from schemas.models.reference import SchemaReference
from schemas.models.schema import CompatibilityMode, Schema, SchemaState
from schemas.models.usage import VersionRead
from schemas.models.version import Format, SchemaVersion

__all__ = [
    "CompatibilityMode",
    "Format",
    "Schema",
    "SchemaReference",
    "SchemaState",
    "SchemaVersion",
    "VersionRead",
]
