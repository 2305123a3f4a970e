"""What Compose and Kubernetes read, against the schemas that their projects publish."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from tests.deploy.compose import read_compose
from tests.deploy.test_kubernetes import manifests

COMPOSE = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
# The newest, and the oldest that its project still mends.
KUBERNETES = ["1.37", "1.35"]


def problems_of_compose(document: Any) -> list[str]:
    validator = jsonschema.validators.validator_for(COMPOSE)(COMPOSE)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def test_compose() -> None:
    assert problems_of_compose(read_compose()) == []


@pytest.mark.parametrize(("name", "value"), [("health_check", {}), ("read_only", ["yes"]), ("command", 8000)])
def test_the_schema_of_compose_sees_mistakes(name: str, value: Any) -> None:
    document = read_compose()
    document["services"]["web"][name] = value
    assert problems_of_compose(document) != []


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests(version: str) -> None:
    for manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schema_of_kubernetes_sees_mistakes() -> None:
    (web,) = [
        found for found in manifests() if (found["kind"], found["metadata"]["name"]) == ("Deployment", "web")
    ]
    web["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(web, KUBERNETES[0], strict=True)
