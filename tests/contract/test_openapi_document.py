"""The API keeps to its OpenAPI document: whatever the document allows, and what it does not, is sent, signed.

schemathesis makes the calls. `make fuzz` makes many more of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from project.api.examples import REQUESTS
from tests.contract.examples import documented_examples, send_examples
from tests.contract.world import World
from tests.support.examples import examples
from tests.support.server import DataFoldServer

if TYPE_CHECKING:
    from schemathesis.schemas import APIOperation
    from schemathesis.specs.openapi.schemas import OpenApiSchema

    OpenApiOperation = APIOperation[Any, Any, Any, Any]

pytestmark = pytest.mark.on_postgres

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)


@pytest.fixture(scope="module")
def world(start_server: Callable[..., DataFoldServer]) -> Iterator[World]:
    server = start_server(
        "contract",
        DATAFOLD_ACCESS_TOKEN_SECONDS="3600",
        DATAFOLD_LOGIN_RATE="100000/minute",
        DATAFOLD_VERIFY_RATE="100000/minute",
        DATAFOLD_RATE_LIMIT_PER_MINUTE="1000000",
        DATAFOLD_WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
        DATAFOLD_WEBHOOK_PORTS="9,443",
    )
    world = World(server)
    yield world
    world.close()


@pytest.fixture(scope="module")
def document(world: World) -> dict[str, Any]:
    with httpx2.Client(base_url=world.server.base_url, trust_env=False) as http:
        found: dict[str, Any] = http.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def api(world: World, document: dict[str, Any]) -> OpenApiSchema:
    from schemathesis import openapi

    api = openapi.from_dict(document)
    api.config.update(base_url=world.server.base_url)

    @api.hook
    def flatmap_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> Any:
        """Half of the calls are about things that are there."""
        if not path_parameters:
            return st.just(path_parameters)
        choices = {name: [value, *world.places.get(name, [])] for name, value in path_parameters.items()}
        return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in choices.items()})

    @api.hook
    def flatmap_body(context: Any, body: Any) -> Any:
        """And a third of the bodies are the document's examples, with a part of the generated one."""
        known = list(REQUESTS.get(context.operation.definition.raw["operationId"], {}).values())
        if not known or not isinstance(body, dict):
            return st.just(body)
        mixed = [{**example, name: body[name]} for example in known for name in list(body)[:2]]
        return st.sampled_from([body, body, *known, *mixed])

    return api


@pytest.mark.one_stack
def test_every_example_of_the_document_is_understood(world: World, document: dict[str, Any]) -> None:
    assert documented_examples(document) == REQUESTS
    refused = {
        (operation_id, name): answer.text
        for operation_id, name, answer in send_examples(world, document)
        if answer.status_code in (400, 422)
    }
    assert refused == {}


@pytest.mark.parametrize("valid", [True, False], ids=["as documented", "otherwise"])
def test_no_call_crashes_or_answers_as_the_document_does_not_say(
    world: World, api: OpenApiSchema, valid: bool
) -> None:
    problems: dict[tuple[str, str], str] = {}
    answers: Counter[int] = Counter()
    for result in api.get_all_operations():
        operation: OpenApiOperation = result.ok()  # type: ignore[union-attr]  # what is no operation fails here
        _try(world, operation, valid, problems, answers)
    assert not problems, "\n\n".join(problems.values())
    assert answers[200] if valid else answers[422]


def _try(
    world: World,
    operation: OpenApiOperation,
    valid: bool,
    problems: dict[tuple[str, str], str],
    answers: Counter[int],
) -> None:
    """Call one operation some times, and note what is not as it should be."""
    from schemathesis import GenerationMode
    from schemathesis.checks import CHECKS as KNOWN
    from schemathesis.core.failures import FailureGroup

    auth = world.auth(operation.definition.raw["security"])
    checks = [KNOWN.get_one(name) for name in CHECKS]
    mode = GenerationMode.POSITIVE if valid else GenerationMode.NEGATIVE

    @settings(
        max_examples=examples(2 if valid else 1),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        answer = case.call(auth=auth, session=world.session, timeout=30)
        answers[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=checks)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                problems[operation.label, f"{failure.title} {answer.status_code}"] = (
                    f"{operation.label}: {failure}\n{case.as_curl_command()}\n{answer.text[:500]}"
                )

    try:
        call()
    except Unsatisfiable:
        assert not valid, operation.label  # nothing in the call can be wrong
