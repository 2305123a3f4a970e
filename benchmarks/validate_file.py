"""How fast a file is validated, against the validator's own speed, and in how much memory.

A job over an NDJSON, CSV and JSON file as the worker runs it (reading, parsing, checking, counting,
noting progress, report), against a plain loop of the same library over the same file: `json.loads` or
`csv.DictReader`, and `is_valid` of `jsonschema_rs` or `validate` of `fastavro`. They take turns.

    python -m benchmarks.validate_file --json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("DATAFOLD_TEST_STACK", "postgres")

from tests.support.services import stop_services
from tests.support.stack import enter_stack, run_folder

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "uuid", "required": True},
    {"name": "at", "type": "datetime", "required": True},
    {"name": "amount", "type": "number", "minimum": 0},
    {"name": "currency", "type": "enum", "values": ["EUR", "USD"]},
    {"name": "note", "type": "string", "max_length": 200},
]
AVRO = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": "string"},
        {"name": "amount", "type": "double"},
        {"name": "currency", "type": "string"},
        {"name": "note", "type": "string"},
    ],
}
ROW = {
    "id": "0b7c5e0a-6b0e-4c5e-9c57-0d2f6f3f9f01",
    "at": "2026-01-01T12:00:00Z",
    "amount": 12.5,
    "currency": "EUR",
    "note": "as agreed",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    try:
        enter_stack()
        results = measure(arguments.records, arguments.rounds)
    finally:
        stop_services(run_folder())
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    print("| file | records a second | of the library's own speed |\n|---|---|---|")
    for name, figures in results["files"].items():
        print(f"| {name} | {figures['records_per_second']:,} | {figures['of_the_library']:.0%} |")
    print(f"\npeak memory: {results['peak_memory_mb']} MB")


def measure(records: int, rounds: int) -> dict[str, Any]:
    from django.core.management import call_command

    from project.uploads import uploads_folder

    call_command("migrate", verbosity=0)
    files = write_files(uploads_folder(), records)
    loops: dict[str, tuple[str, Any, Callable[[Path], None]]] = {
        "ndjson, fields": ("fields", FIELDS, plain_ndjson),
        "csv, fields": ("fields", FIELDS, plain_csv),
        "json, fields": ("fields", FIELDS, plain_json),
        "ndjson, avro": ("avro", AVRO, plain_avro),
    }
    results = {}
    for name, (form, content, plain) in loops.items():
        media = name.partition(",")[0]
        version = make_version(f"{media}-{form}", form, content)
        ours, theirs = [], []
        for _ in range(rounds):
            theirs.append(timed(lambda plain=plain, media=media: plain(files[media])))  # type: ignore[misc]
            ours.append(timed_job(version, media, files[media], records))
        mine, own = statistics.median(ours), statistics.median(theirs)
        results[name] = {
            "records_per_second": round(records / mine),
            "of_the_library": round(own / mine, 3),
        }
    return {"files": results, "records": records, "peak_memory_mb": peak_memory_mb()}


def write_files(folder: Path, records: int) -> dict[str, Path]:
    line = json.dumps(ROW) + "\n"
    texts = {
        "ndjson": line * records,
        "csv": ",".join(ROW) + "\n" + (",".join(map(str, ROW.values())) + "\n") * records,
        "json": "[" + ",\n".join([json.dumps(ROW)] * records) + "]",
    }
    files = {}
    for name, text in texts.items():
        files[name] = folder / f"source-{name}"
        files[name].write_text(text)
    return files


def make_version(name: str, form: str, content: Any) -> Any:
    from schemas import registry
    from schemas.documents import read_document

    return registry.create_schema(name=name, document=read_document(form, content), author=None).version


def timed(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def timed_job(version: Any, media: str, source: Path, records: int) -> float:
    from schemas.files.runner import run_job
    from schemas.models import ValidationJob

    upload = source.with_name(f"job-{time.monotonic_ns()}")
    upload.hardlink_to(source)
    job = ValidationJob.objects.create(
        version=version, file=upload.name, media=media, size=upload.stat().st_size
    )
    spent = timed(lambda: run_job(job.pk))
    job.refresh_from_db()
    if (job.state, job.records, job.invalid) != ("done", records, 0):
        raise AssertionError((job.state, job.error, job.records, job.invalid))
    return spent


def compiled_fields() -> Any:
    import jsonschema_rs

    from schemas.formats.field_schema import fields_to_json_schema

    return jsonschema_rs.Draft202012Validator(fields_to_json_schema(FIELDS), validate_formats=True)


def plain_ndjson(path: Path) -> None:
    is_valid = compiled_fields().is_valid
    with path.open("rb") as file:
        if not all(is_valid(json.loads(line)) for line in file):
            raise AssertionError("refused")


def plain_csv(path: Path) -> None:
    is_valid = compiled_fields().is_valid
    with path.open(newline="") as file:
        if not all(is_valid({**row, "amount": float(row["amount"])}) for row in csv.DictReader(file)):
            raise AssertionError("refused")


def plain_json(path: Path) -> None:
    is_valid = compiled_fields().is_valid
    if not all(is_valid(row) for row in json.loads(path.read_bytes())):
        raise AssertionError("refused")


def plain_avro(path: Path) -> None:
    import fastavro
    from fastavro.validation import validate

    schema = fastavro.parse_schema(AVRO)
    with path.open("rb") as file:
        if not all(validate(json.loads(line), schema, raise_errors=False, strict=True) for line in file):
            raise AssertionError("refused")


def peak_memory_mb() -> int:
    """Of a process that runs one large job and nothing else: what the worker needs."""
    import subprocess
    import sys

    code = (
        "import re; import django; django.setup();"
        "from schemas.files.runner import run_job; from schemas.models import ValidationJob;"
        "from project.uploads import uploads_folder; from schemas.models import SchemaVersion;"
        "source = uploads_folder() / 'source-json'; upload = uploads_folder() / 'large';"
        "upload.hardlink_to(source);"
        "job = ValidationJob.objects.create(version=SchemaVersion.objects.get(schema__name='json-fields'),"
        " file='large', media='json', size=upload.stat().st_size);"
        "run_job(job.pk); job.refresh_from_db(); assert job.state == 'done', job.error;"
        # Not ru_maxrss, which begins with what the parent had.
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "project.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return int(done.stdout)


if __name__ == "__main__":
    main()
