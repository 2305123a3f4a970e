"""Refusals around schemas."""

from __future__ import annotations

from project.errors import DomainError


class SchemaError(DomainError):
    """Base of the refusals of this app."""


class SchemaExists(SchemaError):
    code = "SCHEMA_EXISTS"


class SchemaNotFound(SchemaError):
    code = "SCHEMA_NOT_FOUND"


class SchemaInvalid(SchemaError):
    """`details["problems"]` lists every problem with its pointer."""

    code = "SCHEMA_INVALID"


class SchemaTooComplex(SchemaError):
    code = "SCHEMA_TOO_COMPLEX"


class SchemaIncompatible(SchemaError):
    """`details` is the compatibility report."""

    code = "SCHEMA_INCOMPATIBLE"


class SchemaBlocked(SchemaError):
    code = "SCHEMA_BLOCKED"


class SchemaForbidden(SchemaError):
    code = "SCHEMA_FORBIDDEN"


class SchemaReferenced(SchemaError):
    code = "SCHEMA_REFERENCED"


class SchemaStateConflict(SchemaError):
    code = "SCHEMA_STATE_CONFLICT"


class ConversionImpossible(SchemaError):
    code = "CONVERSION_IMPOSSIBLE"


class TaskNotFound(SchemaError):
    code = "TASK_NOT_FOUND"


class TaskStateConflict(SchemaError):
    code = "TASK_STATE_CONFLICT"
