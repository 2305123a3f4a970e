"""What each `datafold schemas …` does."""

from __future__ import annotations

from typing import Any

from datafold_sdk.errors import ConfigurationError
from datafold_sdk.refusals import JSONObject

from .commands import OK, Run, read_json
from .output import facts, table

_COLUMNS = ("name", "version", "state", "format", "owner", "created_at", "description")


def list_schemas(run: Run) -> int:
    """List the schemas that this client may see."""
    with run.client(signed=False) as client:
        answer = client.schemas.list(limit=run.options.limit, cursor=run.options.cursor)
    run.output.result(answer, table(_rows(answer), _COLUMNS, empty="There are no schemas yet."))
    return OK


def get_schema(run: Run) -> int:
    """Show a schema, or one of its versions."""
    with run.client(signed=False) as client:
        if run.options.version is None:
            answer = client.schemas.get(run.options.name)
        else:
            answer = client.schemas.version(run.options.name, run.options.version, format=run.options.format)
    data = answer.get("data")
    run.output.result(answer, facts(run.options.name, data if isinstance(data, dict) else {"data": data}))
    return OK


def create_schema(run: Run) -> int:
    """Write a schema, or with --add a further version of one."""
    document = read_json(run.options.data)
    content: dict[str, Any] = {"format": run.options.format}
    if run.options.format in (None, "fields"):
        content["fields"] = (
            document["fields"] if isinstance(document, dict) and "fields" in document else document
        )
        if not isinstance(content["fields"], list):
            raise ConfigurationError('Expected a list of fields: [{"name": "id", "type": "uuid"}, …].')
    else:
        content["content"] = document
    content |= {"version": run.options.version, "description": run.options.description}
    with run.client() as client:
        if run.options.add:
            answer = client.schemas.add_version(run.options.name, **content)
        else:
            answer = client.schemas.create(run.options.name, **content)
    data = answer.get("data")
    run.output.result(answer, facts(f"Written: {run.options.name}", data if isinstance(data, dict) else {}))
    return OK


def list_versions(run: Run) -> int:
    """List a schema's versions."""
    with run.client(signed=False) as client:
        answer = client.schemas.versions(run.options.name)
    columns = ("number", "version", "format", "state", "fingerprint", "created_by", "created_at")
    run.output.result(answer, table(_rows(answer), columns, empty=f"{run.options.name} has no versions."))
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


def _rows(answer: JSONObject) -> list[dict[str, Any]]:
    data = answer.get("data")
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
