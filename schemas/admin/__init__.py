"""The operators' pages on schemas, their versions and the files validated against them."""

from schemas.admin import jobs, schemas, versions

__all__ = ["jobs", "schemas", "versions"]
