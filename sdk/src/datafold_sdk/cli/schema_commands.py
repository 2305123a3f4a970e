"""What each `datafold schemas …` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from datafold_sdk.errors import ConfigurationError
from datafold_sdk.pinning import next_cursor
from datafold_sdk.refusals import JSONObject

from .commands import OK, REFUSED, Run, read_json
from .output import facts, table

_COLUMNS = ("name", "version", "state", "format", "owner", "created_at", "description")


def list_schemas(run: Run) -> int:
    """List the schemas that this client may see."""
    with run.client(signed=False) as client:
        answer = client.schemas.list(limit=run.options.limit, cursor=run.options.cursor)
    _show_page(run, answer, _COLUMNS, empty="There are no schemas yet.")
    return OK


def get_schema(run: Run) -> int:
    """Show a schema, or one of its versions."""
    name, form = run.options.name, run.options.format
    with run.client(signed=False) as client:
        if run.options.version is not None:
            answer = client.schemas.version(name, run.options.version, format=form)
        else:
            answer = client.schemas.latest(name, format=form) if form else client.schemas.get(name)
    data = answer.get("data")
    run.output.result(answer, facts(run.options.name, data if isinstance(data, dict) else {"data": data}))
    return OK


def create_schema(run: Run) -> int:
    """Write a schema, or with --add a further version of one."""
    content = _document(run)
    content |= {"version": run.options.version, "description": run.options.description}
    with run.client() as client:
        if run.options.add:
            answer = client.schemas.add_version(run.options.name, **content)
        else:
            answer = client.schemas.create(run.options.name, **content)
    data = answer.get("data")
    run.output.result(answer, facts(f"Written: {run.options.name}", data if isinstance(data, dict) else {}))
    return OK


def check_schema(run: Run) -> int:
    """Try a document against a schema's versions; nothing is written. Fails if it is incompatible."""
    against = run.options.against
    with run.client() as client:
        answer = client.schemas.check_compatibility(
            run.options.name,
            **_document(run),
            mode=run.options.mode,
            policy=run.options.policy,
            against=int(against) if against is not None and against.isdecimal() else against,
        )
    data = answer.get("data")
    report = data if isinstance(data, dict) else {}
    run.output.result(answer, _told(report))
    return OK if report.get("compatible") is True else REFUSED


def _told(report: JSONObject) -> str:
    """A report for a person: the verdict, then each difference with the document that shows it."""
    numbers = report.get("checked_against")
    versions = ", ".join(map(str, numbers)) if isinstance(numbers, list) and numbers else "no version"
    verdict = "Compatible" if report.get("compatible") is True else "NOT compatible"
    lines = [f"{verdict}: {report.get('mode')}, policy {report.get('policy')}, against {versions}."]
    differences = report.get("differences")
    for difference in differences if isinstance(differences, list) else ():
        if not isinstance(difference, dict):
            continue
        mark = "BREAK" if difference.get("breaking") else "note "
        lines.append(f"{mark}  {difference.get('code')}: {difference.get('message')}")
        if "counterexample" in difference:
            lines.append(f"       shown by {json.dumps(difference['counterexample'], ensure_ascii=False)}")
    return "\n".join(lines)


def list_versions(run: Run) -> int:
    """List a schema's versions."""
    with run.client(signed=False) as client:
        answer = client.schemas.versions(run.options.name, limit=run.options.limit, cursor=run.options.cursor)
    columns = ("number", "version", "format", "state", "fingerprint", "created_by", "created_at")
    _show_page(run, answer, columns, empty=f"{run.options.name} has no versions.")
    return OK


def delete_schema(run: Run) -> int:
    """Take a schema out of use."""
    with run.client() as client:
        answer = client.schemas.delete(run.options.name)
    run.output.result(answer, f"Deleted: {run.options.name}. The name stays its owner's.")
    return OK


def get_receipt(run: Run) -> int:
    """Print the receipt of a version, for `datafold verify-receipt`."""
    run.output.as_json = True
    with run.client(signed=False) as client:
        answer = client.schemas.receipt(run.options.name, run.options.version)
    run.output.result(answer.get("data"), "")
    return OK


def _document(run: Run) -> dict[str, Any]:
    """What the options give as a schema document, as the calls take it."""
    document = read_json(run.options.data)
    if run.options.format not in (None, "fields"):
        return {"format": run.options.format, "content": document}
    fields = document["fields"] if isinstance(document, dict) and "fields" in document else document
    if not isinstance(fields, list):
        raise ConfigurationError('Expected a list of fields: [{"name": "id", "type": "uuid"}, …].')
    return {"format": run.options.format, "fields": fields}


def _show_page(run: Run, answer: JSONObject, columns: Sequence[str], *, empty: str) -> None:
    run.output.result(answer, table(_rows(answer), columns, empty=empty))
    if cursor := next_cursor(answer):
        run.output.note(f"datafold: there are more, see them with --cursor {cursor}")


def _rows(answer: JSONObject) -> list[dict[str, Any]]:
    data = answer.get("data")
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
