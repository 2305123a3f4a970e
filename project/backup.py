"""Backup and restore of the database: one file, made while the server runs, restored into an empty database.

PostgreSQL: every table by COPY, from one snapshot. Restoring builds the schema with the migrations that the
backup names, so a newer release restores an older one's backup and then upgrades it. Needs no binaries, so
it works in the container. SQLite: its online backup.

Not in it: Redis (restoring makes its memory of nonces begin anew, so nothing signed before is let in), the
secrets of the environment, and files in DATA_DIR.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from project.errors import DomainError

FORMAT = "datafold-backup/1"
MANIFEST = "manifest.json"
SQLITE_FILE = "datafold.sqlite3"
MIGRATIONS_TABLE = "django_migrations"
_CHUNK = 1 << 20


class BackupError(DomainError):
    """A backup that cannot be made, read or restored."""

    code = "BACKUP_UNUSABLE"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds: rows per table (None for SQLite, whose file is copied as it is)."""

    path: Path
    tables: dict[str, int] | None
    made_at: datetime


def back_up(path: Path) -> Summary:
    """Write a new backup file, complete or not at all.

    Raises:
        BackupError: the file exists, or its folder does not.
    """
    if path.exists() or not path.parent.is_dir():
        raise BackupError(
            f"{path} exists already, or its folder does not. Name a new file in a folder that exists."
        )
    unfinished = path.with_name(path.name + ".unfinished")
    made_at = datetime.now(UTC)
    try:
        with (
            open(unfinished, "xb", opener=_private) as file,
            tarfile.open(fileobj=file, mode="w:gz") as archive,
        ):
            dump = _dump_postgres if connection.vendor == "postgresql" else _dump_sqlite
            # Beside the backup there is room for it; /tmp is memory in a container.
            tables = dump(archive, path.parent)
            manifest = {
                "format": FORMAT,
                "database": connection.vendor,
                "release": settings.VERSION,
                "made_at": made_at.isoformat(),
                "tables": tables,
                "migrations": sorted(MigrationRecorder(connection).applied_migrations()),
            }
            _add(archive, MANIFEST, io.BytesIO(json.dumps(manifest, indent=1).encode()))
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return Summary(path, _rows(tables), made_at)


def restore(path: Path) -> Summary:
    """Fill the empty database that the settings name from a backup file; all of it or nothing.

    Raises:
        BackupError: no backup of this kind of database, damaged, or the database is not empty.
    """
    with _open(path) as archive:
        manifest = _read_manifest(archive, path)
        if connection.introspection.table_names():
            raise BackupError("The database is not empty. Restore into a new one: DATABASE_URL names it.")
        load = _load_postgres if connection.vendor == "postgresql" else _load_sqlite
        load(archive, manifest)
    call_command("migrate", interactive=False, verbosity=0)
    forget_nonces()
    return Summary(path, _rows(manifest["tables"]), datetime.fromisoformat(manifest["made_at"]))


def forget_nonces() -> None:
    """Drop what Redis remembers of clients: it is of another history than the restored database."""
    if not settings.REDIS_URL:
        return
    with closing(redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10)) as client:
        for key in client.scan_iter(match="df:*", count=1000):
            client.unlink(key)


# --- PostgreSQL --------------------------------------------------------------------------------------


def _dump_postgres(archive: tarfile.TarFile, scratch: Path) -> dict[str, Any]:
    tables = {}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table in sorted(connection.introspection.table_names(cursor)):
            if table != MIGRATIONS_TABLE:
                columns = [
                    column.name for column in connection.introspection.get_table_description(cursor, table)
                ]
                with tempfile.TemporaryFile(dir=scratch) as data:
                    digest, rows = _copy_out(cursor, table, columns, data)
                    _add(archive, f"tables/{table}", data)
                tables[table] = {"columns": columns, "rows": rows, "sha256": digest}
    return tables


def _copy_out(cursor: Any, table: str, columns: list[str], data: IO[bytes]) -> tuple[str, int]:
    digest = hashlib.sha256()
    with cursor.copy(f"COPY {_quoted([table])} ({_quoted(columns)}) TO STDOUT") as copy:
        for chunk in copy:
            data.write(chunk)
            digest.update(chunk)
    return digest.hexdigest(), cursor.rowcount


def _load_postgres(archive: tarfile.TarFile, manifest: dict[str, Any]) -> None:
    _build_schema(manifest["migrations"])
    tables: dict[str, Any] = manifest["tables"]
    known = set(connection.introspection.table_names())
    if missing := set(tables) - known:
        raise BackupError(
            f"This release has no tables {', '.join(sorted(missing))}. Restore with {manifest['release']}."
        )
    with transaction.atomic(), connection.cursor() as cursor:
        _switch_triggers(cursor, tables, "DISABLE")
        # What the migrations themselves have written is in the backup, too.
        cursor.execute(f"TRUNCATE {_quoted(known - {MIGRATIONS_TABLE})} CASCADE")
        for table, facts in tables.items():
            _copy_in(cursor, archive, table, facts)
            _reset_sequences(cursor, table)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _switch_triggers(cursor, tables, "ENABLE")


def _build_schema(applied: list[list[str]]) -> None:
    """The schema as it was when the backup was made, by the same migrations."""
    executor = MigrationExecutor(connection)
    nodes = executor.loader.graph.node_map
    done = {(app, name) for app, name in applied}
    if not done <= set(nodes):
        raise BackupError("The backup is of a newer release than this one. Restore it with that release.")
    last = [
        node
        for node in done
        if not any(child.key in done and child.key[0] == node[0] for child in nodes[node].children)
    ]
    executor.migrate(sorted(last))


def _copy_in(cursor: Any, archive: tarfile.TarFile, table: str, facts: dict[str, Any]) -> None:
    digest = hashlib.sha256()
    data = _member(archive, f"tables/{table}")
    with cursor.copy(f"COPY {_quoted([table])} ({_quoted(facts['columns'])}) FROM STDIN") as copy:
        while chunk := data.read(_CHUNK):
            copy.write(chunk)
            digest.update(chunk)
    if digest.hexdigest() != facts["sha256"] or cursor.rowcount != facts["rows"]:
        raise BackupError(
            f"The backup is damaged: table {table} is not as it was written. Nothing was restored."
        )


def _switch_triggers(cursor: Any, tables: Iterable[str], switch: str) -> None:
    """The schema's own triggers judge what is new; a row of the backup was judged when it was written."""
    for table in tables:
        cursor.execute(f"ALTER TABLE {_quoted([table])} {switch} TRIGGER USER")


def _reset_sequences(cursor: Any, table: str) -> None:
    for sequence in connection.introspection.get_sequences(cursor, table):
        column = _quoted([sequence["column"]])
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence(%s, %s), coalesce(max({column}), 1), max({column}) IS NOT NULL) "  # noqa: S608
            f"FROM {_quoted([table])}",
            [_quoted([table]), sequence["column"]],
        )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(connection.ops.quote_name(name) for name in names)


# --- SQLite ------------------------------------------------------------------------------------------


def _dump_sqlite(archive: tarfile.TarFile, scratch: Path) -> dict[str, Any]:
    connection.ensure_connection()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copy = Path(folder) / SQLITE_FILE
        with closing(sqlite3.connect(copy)) as target:
            connection.connection.backup(target)
        with copy.open("rb") as data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
            _add(archive, SQLITE_FILE, data)
    return {SQLITE_FILE: {"sha256": digest}}


def _load_sqlite(archive: tarfile.TarFile, manifest: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / SQLITE_FILE
        with copy.open("wb") as file:
            file.write(_member(archive, SQLITE_FILE).read())
        if hashlib.sha256(copy.read_bytes()).hexdigest() != manifest["tables"][SQLITE_FILE]["sha256"]:
            raise BackupError(
                "The backup is damaged: the database is not as it was written. Nothing was restored."
            )
        connection.ensure_connection()
        with closing(sqlite3.connect(copy)) as source:
            source.backup(connection.connection)


# --- The file ----------------------------------------------------------------------------------------


def _private(path: str, flags: int) -> int:
    """A backup holds everything: nobody but its owner reads it."""
    return os.open(path, flags, 0o600)


def _add(archive: tarfile.TarFile, name: str, data: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size = data.seek(0, io.SEEK_END)
    info.mode = 0o600
    data.seek(0)
    archive.addfile(info, data)


def _open(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, mode="r:gz")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise BackupError(f"{path} is not a backup that can be read: {error}.") from error


def _read_manifest(archive: tarfile.TarFile, path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.load(_member(archive, MANIFEST))
    except (ValueError, OSError, EOFError, tarfile.TarError) as error:
        raise BackupError(f"{path} is damaged: {error}.") from error
    if manifest.get("format") != FORMAT or manifest.get("database") != connection.vendor:
        raise BackupError(
            f"{path} is a backup of {manifest.get('database')}, and the database here is {connection.vendor}."
        )
    return manifest


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        member = archive.extractfile(name)
    except KeyError:
        member = None
    if member is None:
        raise BackupError(f"The backup is damaged: {name} is missing.")
    return member


def _rows(tables: dict[str, Any]) -> dict[str, int] | None:
    return {name: facts["rows"] for name, facts in tables.items()} if SQLITE_FILE not in tables else None
