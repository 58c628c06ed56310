"""The OpenAPI document says what there is, and nothing else."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.webapp.api.conftest import Person, connect
from webapp import api

VERBS = {"get", "post", "patch", "delete"}


@pytest.fixture
def document(client: FlaskClient) -> Any:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    return answer.get_json()


def test_every_route_of_the_api_is_described_and_no_other(app: Flask, document: Any) -> None:
    ours = {blueprint.name for blueprint in api.BLUEPRINTS}
    routes = {
        (re.sub(r"<int:(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in ours
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, verb) for path, verbs in document["paths"].items() for verb in verbs}
    assert described == routes and len(routes) > 25


def test_it_is_openapi_three_point_one(document: Any) -> None:
    assert document["openapi"] == "3.1.0" and document["info"]["title"] and document["info"]["version"]
    assert document["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}


def test_every_operation_has_a_name_of_its_own_words_and_an_answer(document: Any) -> None:
    operations = [operation for verbs in document["paths"].values() for operation in verbs.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"].endswith(".") and operation["responses"]


def test_every_reference_leads_somewhere(document: Any) -> None:
    found = re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(document))
    assert found and set(found) <= set(document["components"]["schemas"])


def test_ids_in_the_path_are_parameters(document: Any) -> None:
    for path, verbs in document["paths"].items():
        for operation in verbs.values():
            named = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert named == re.findall(r"{(\w+)}", path)


def test_only_reads_are_without_an_idempotency_key(document: Any) -> None:
    for verbs in document["paths"].values():
        for verb, operation in verbs.items():
            assert verb in VERBS
            assert ("Idempotency-Key" in str(operation["parameters"])) == (verb != "get")


def test_what_needs_no_token_says_so(document: Any) -> None:
    open_ones = {path for path, verbs in document["paths"].items() if verbs.get("get", {}).get("security") == []}
    assert open_ones == {"/api/v1/openapi.json", "/healthz", "/readyz", "/metrics"}


def test_answers_have_exactly_the_fields_that_are_described(alice: Person, document: Any) -> None:
    told = alice.register()
    connect(told["agent_id"])
    topic_id = alice.topic(primary_agent_id=told["agent_id"])
    posted = alice.say(topic_id)
    alice.call("POST", "/agent/notify", {"topic_id": topic_id, "permission_request_id": "abcde"})
    shown = {
        "Me": alice.call("GET", "/me"),
        "Creative": alice.call("GET", "/creatives")["items"][0],
        "Topic": alice.call("GET", f"/topics/{topic_id}"),
        "Message": posted["message"],
        "Posted": posted,
        "Task": alice.task(posted["tasks"][0]["id"]),
        "Agent": alice.call("GET", f"/agents/{told['agent_id']}"),
        "Registered": told,
        "Topics": alice.call("GET", "/topics"),
        "Approvals": alice.call("GET", "/approvals"),
        "Approval": alice.call("GET", "/approvals")["items"][0],
    }
    for name, answer in shown.items():
        schema = document["components"]["schemas"][name]
        assert set(answer) == set(schema["properties"]) == set(schema["required"]), name
