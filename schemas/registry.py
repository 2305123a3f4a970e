"""Writing schemas: the only way in which a version comes to be and a schema goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from schemas import access, verdicts
from schemas.documents import Document, search_text
from schemas.epoch import advance_epoch
from schemas.errors import SchemaExists, SchemaForbidden, SchemaReferenced
from schemas.models import Schema, SchemaVersion
from schemas.receipts import Author
from schemas.references import bind_references, referring_versions, resolve_references

DEFAULT_VERSION = "1.0.0"
OPTIMISTIC_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Registered:
    """The version that now stands for the document; `created` is false if it stood there already."""

    version: SchemaVersion
    created: bool


def create_schema(
    *,
    name: str,
    document: Document,
    author: Author | None,
    version: str = DEFAULT_VERSION,
    description: str = "",
    compatibility: str | None = None,
) -> Registered:
    """Register a new schema with its first version; the author becomes its owner.

    A deleted name is taken up again by its owner: numbers go on, the old versions stay hidden.

    Raises:
        SchemaExists, SchemaForbidden, SchemaBlocked, SchemaInvalid (an unresolved reference).
    """
    with transaction.atomic():
        targets = resolve_references(document)
        schema = _take_name(name, author)
        schema.description = description
        schema.compatibility = compatibility or settings.DATAFOLD_COMPATIBILITY
        registered = _write_version(schema, document, version, author)
        bind_references(registered, targets)
        _record(schema, author, "schema.created", after=_facts(registered))
    return Registered(registered, created=True)


def add_version(
    *,
    schema: Schema,
    document: Document,
    author: Author | None,
    version: str = "",
    description: str | None = None,
) -> Registered:
    """Register a further version, or answer with the one that has the same content.

    The verdict is reached outside the transaction, so that a hard pair of schemas blocks no other
    writer, and counts only if nothing changed meanwhile.

    Raises:
        SchemaForbidden, SchemaBlocked, SchemaIncompatible, SchemaExists (the version string),
        SchemaInvalid, SchemaTooComplex.
    """
    access.check_not_blocked(schema)
    access.check_writer(schema, author)
    for _ in range(OPTIMISTIC_ROUNDS):
        if found := _same_content(schema, document):
            return Registered(found, created=False)
        overruled = verdicts.check_new_version(schema, document)
        with transaction.atomic():
            current = _lock(schema)
            if _basis(current) == _basis(schema):
                added = _add_locked(current, document, author, version, description, overruled)
                return Registered(added, created=True)
        schema = current
    with transaction.atomic():
        current = _lock(schema)
        if found := _same_content(current, document):
            return Registered(found, created=False)
        overruled = verdicts.check_new_version(current, document)
        added = _add_locked(current, document, author, version, description, overruled)
        return Registered(added, created=True)


def delete_schema(*, schema: Schema, author: Author | None) -> None:
    """Take a schema out of use. Its versions stay as they are, hidden; the name stays its owner's.

    Raises:
        SchemaForbidden: the author is not the owner.
        SchemaReferenced: other schemas refer to it.
    """
    with transaction.atomic():
        schema = _lock(schema)
        access.check_owner(schema, author)
        refuse_if_referenced(schema)
        schema.deleted_at = timezone.now()
        schema.save(update_fields=["deleted_at", "updated_at"])
        _record(schema, author, "schema.deleted", before={"version": schema.served_number})
        advance_epoch()


def refuse_if_referenced(schema: Schema) -> None:
    """Raises `SchemaReferenced`, naming who refers to it."""
    if referring := referring_versions(schema):
        names = [f"{version.schema.name}/{version.number}" for version in referring]
        raise SchemaReferenced(
            f"The schema {schema.name} is referred to by {', '.join(names[:5])}"
            + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            + ". Delete those first, or register versions of them in its stead.",
            referenced_by=names,
        )


def _take_name(name: str, author: Author | None) -> Schema:
    schema = Schema.objects.select_for_update().filter(name=name).first()
    if schema is None:
        try:
            with transaction.atomic():
                return Schema.objects.create(name=name, owner_id=author.client_pk if author else None)
        except IntegrityError as error:
            raise _taken(name) from error
    if schema.deleted_at is None:
        raise _taken(name)
    try:
        access.check_owner(schema, author)
    except SchemaForbidden as error:
        raise _taken(name) from error
    access.check_not_blocked(schema)
    schema.deleted_at = None
    schema.generation += 1
    schema.served_number = 0
    schema.served_format = ""
    return schema


def _taken(name: str) -> SchemaExists:
    return SchemaExists(
        f"The name {name} is taken. Choose another one, or, if the schema is yours, write a further version with "
        f"POST schemas/{name}/versions.",
        name=name,
    )


def _lock(schema: Schema) -> Schema:
    """The row as it is now, held until the transaction ends. Raises `SchemaNotFound` if it is deleted."""
    Schema.objects.select_for_update().filter(pk=schema.pk).first()
    return access.find_schema(schema.name)


def _basis(schema: Schema) -> tuple[Any, ...]:
    """Everything that a verdict rests on."""
    return (schema.generation, schema.latest_number, schema.compatibility, schema.break_glass_until)


def _same_content(schema: Schema, document: Document) -> SchemaVersion | None:
    found = (
        access.living_versions(schema)
        .select_related("author", "author_key")
        .filter(format=document.format, digest=document.digest)
        .first()
    )
    if found is not None:
        found.schema = schema
    return found


def _add_locked(
    schema: Schema,
    document: Document,
    author: Author | None,
    version: str,
    description: str | None,
    overruled: verdicts.Verdict | None,
) -> SchemaVersion:
    access.check_not_blocked(schema)
    access.check_writer(schema, author)
    targets = resolve_references(document)
    if description is not None:
        schema.description = description
    registered = _write_version(schema, document, version or f"{schema.latest_number + 1}.0.0", author)
    bind_references(registered, targets)
    _record(schema, author, "schema.version_added", after=_facts(registered))
    if overruled is not None:
        report = {**overruled.to_dict(), "differences": len(overruled.report.differences)}
        _record(
            schema, author, "schema.break_glass_used", after={"number": registered.number, "report": report}
        )
    return registered


def _write_version(schema: Schema, document: Document, version: str, author: Author | None) -> SchemaVersion:
    """The next version of a locked schema, and the schema's own row."""
    if schema.versions.filter(generation=schema.generation, version=version).exists():
        raise SchemaExists(
            f"The schema {schema.name} has a version called {version} already, with other content. Choose another "
            "version string.",
            version=version,
        )
    written = SchemaVersion.objects.create(
        schema=schema,
        generation=schema.generation,
        number=schema.latest_number + 1,
        version=version,
        format=document.format,
        content=document.content,
        canonical=document.canonical,
        fingerprint=document.fingerprint,
        digest=document.digest,
        author_id=author.client_pk if author else None,
        author_key_id=author.key_pk if author else None,
        receipt=author.receipt if author else None,
        created_at=timezone.now(),
    )
    schema.latest_number = written.number
    if access.is_served(written):
        schema.served_number = written.number
        schema.served_format = written.format
    schema.search_text = search_text(schema.name, schema.description, document.content)
    schema.save()
    # No epoch: no version that is there already is served otherwise because of a new one.
    return written


def _record(
    schema: Schema,
    author: Author | None,
    action: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    record_event(
        actor=Actor.client(author.client_id, author.thumbprint) if author else Actor.anonymous(),
        action=action,
        target_kind="schema",
        target_id=str(schema.pk),
        target_label=schema.name,
        before=before,
        after=after,
    )


def _facts(version: SchemaVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "version": version.version,
        "format": version.format,
        "fingerprint": version.fingerprint,
        "compatibility": version.schema.compatibility,
    }
