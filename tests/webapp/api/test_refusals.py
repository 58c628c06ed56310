"""Who may call at all, and how a refusal looks."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.webapp.api.conftest import Person, rows

OPEN = {"/api/v1/openapi.json"}


def calls(app: Flask) -> list[tuple[str, str]]:
    """Every call that needs a token: method and path, with 1 for each id."""
    return [
        (method, re.sub("<int:[a-z_]+>", "1", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.rule not in OPEN
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def test_every_call_needs_a_token(app: Flask, client: FlaskClient) -> None:
    found = calls(app)
    assert len(found) > 20
    for method, path in found:
        answer = client.open(path, method=method, json={})
        assert (answer.status_code, answer.get_json()["code"]) == (401, "not_signed_in"), (method, path)
        assert answer.headers["WWW-Authenticate"] == "Bearer" and answer.get_json()["error"].endswith(">.")


def test_a_cookie_alone_opens_nothing(app: Flask, client: FlaskClient, alice: Person) -> None:
    key = rows("SELECT cookie_key FROM users WHERE id = :id", id=alice.id)[0][0]
    with client.session_transaction() as cookie:
        cookie["_user_id"], cookie["_fresh"] = f"{alice.id}:{key}", True
    for method, path in calls(app):
        assert client.open(path, method=method, json={}).status_code == 401, (method, path)


@pytest.mark.parametrize("end", ["revoked_at = now()", "expires_at = now()"])
def test_a_token_that_has_ended_opens_nothing(alice: Person, end: str) -> None:
    rows(f"UPDATE access_tokens SET {end} WHERE user_id = :id RETURNING id", id=alice.id)
    assert alice.call("GET", "/me", status=401)["code"] == "not_signed_in"


def test_the_token_of_somebody_who_left_opens_nothing(alice: Person) -> None:
    rows("UPDATE users SET removed_at = now() WHERE id = :id RETURNING id", id=alice.id)
    assert alice.send("GET", "/me").status_code == 401


def test_who_the_token_is(alice: Person) -> None:
    me = alice.call("GET", "/me")
    assert (me["id"], me["email"], me["name"], me["role"]) == (alice.id, alice.email, "Alice", "member")
    assert me["token"]["label"] == "tests" and me["token"]["expires_at"] is None
    assert alice.token not in str(me)


def test_an_address_that_is_none_is_json_too(alice: Person) -> None:
    for path in ("/nothing", "/agent/tasks/1/quota_status", "/topics/abc", "/topics/-1"):
        assert alice.call("GET", path, status=404)["code"] == "not_found"


def test_ids_beyond_every_id_are_not_found(alice: Person) -> None:
    for id in (2**53, 2**63, 10**40):
        for path in (
            f"/topics/{id}",
            f"/tasks/{id}",
            f"/agents/{id}",
            f"/creatives/{id}/shares",
            f"/topics/{id}/messages",
        ):
            assert alice.call("GET", path, status=404)["code"] == "not_found"


def test_a_method_that_is_none_says_which_are(alice: Person) -> None:
    refused = alice.send("PUT", "/topics")
    assert refused.status_code == 405 and set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert refused.get_json()["code"] == "method_not_allowed"


def test_a_body_that_is_too_large_is_refused(alice: Person) -> None:
    refused = alice.call("POST", "/topics", {"name": "x" * (1 << 20)}, status=413)
    assert refused["code"] == "too_large"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "  ",
        "{",
        "name=x",
        '{"name": "x"',
        b'{"name": "\xff"}',
        '{"name": NaN}',
        '{"zz": ' + "[" * 50_000,
        "\ufeff{}",
        '{"name": "x"} trailing',
    ],
)
def test_what_is_no_json_is_malformed(alice: Person, sent: str | bytes) -> None:
    for path in ("/topics", "/agent/register"):
        refused = alice.send("POST", path, data=sent, content_type="application/json")
        assert refused.status_code in (400, 422) and refused.get_json()["error"].endswith(".")
        assert refused.get_json()["code"] == ("malformed" if refused.status_code == 400 else "invalid")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_another_kind_of_content_is_told_what_to_send(alice: Person, kind: str) -> None:
    refused = alice.send("POST", "/topics", data='{"name": "x"}', content_type=kind)
    assert refused.status_code == 400 and "application/json" in refused.get_json()["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({}, "name"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "\u202e"}, "name"),
        ({"name": "x" * 161}, "name"),
        ({"name": "x", "creative_id": "1"}, "creative_id"),
        ({"name": "x", "creative_id": 1.5}, "creative_id"),
        ({"name": "x", "creative_id": 2**53}, "creative_id"),
        ({"name": "x", "creative_id": True}, "creative_id"),
        ({"name": "x", "primary_agent_id": [1]}, "primary_agent_id"),
        ({"name": "x", "colour": "red"}, "colour"),
    ],
)
def test_a_field_that_does_not_fit_is_named(alice: Person, body: object, field: str) -> None:
    refused = alice.call("POST", "/topics", body, status=422)
    assert set(refused) == {"error", "code"} and refused["code"] == "invalid"
    assert field in refused["error"] and refused["error"].endswith(".")
