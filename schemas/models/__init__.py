from schemas.models.job import LEASE, UNFINISHED, JobState, Media, ValidationJob
from schemas.models.reference import SchemaReference
from schemas.models.schema import CompatibilityMode, Schema, SchemaState
from schemas.models.usage import VersionRead
from schemas.models.version import Format, SchemaVersion

__all__ = [
    "LEASE",
    "UNFINISHED",
    "CompatibilityMode",
    "Format",
    "JobState",
    "Media",
    "Schema",
    "SchemaReference",
    "SchemaState",
    "SchemaVersion",
    "ValidationJob",
    "VersionRead",
]
