"""The agents that people see, and what their owners decide."""

import pytest

from tests.webapp.api.conftest import Person, connect, disconnect

FIELDS = {
    "id", "name", "kind", "owner_id", "routable", "why_not", "routing_expression", "keep_seconds", "max_tasks",
    "gateway_id", "gateway_agent_id", "has_own_token", "sessions",
}  # fmt: skip


def test_an_agent_shows_every_field(alice: Person) -> None:
    id = alice.register()["agent_id"]
    shown = alice.call("GET", f"/agents/{id}")
    assert set(shown) == FIELDS
    assert shown == {
        "id": id,
        "name": "Claude Channel (scout)",
        "kind": "plugin",
        "owner_id": alice.id,
        "routable": False,
        "why_not": "scout is not connected.",
        "routing_expression": None,
        "keep_seconds": 0,
        "max_tasks": None,
        "gateway_id": None,
        "gateway_agent_id": None,
        "has_own_token": False,
        "sessions": [],
    }
    assert alice.call("GET", "/agents") == {"items": [shown], "next": None}


def test_sessions_are_live_or_waited_for(alice: Person) -> None:
    id = alice.register(session_label="my-repo")["agent_id"]
    disconnect(connect(id, "desk"))
    connect(id, "laptop")
    shown = alice.call("GET", f"/agents/{id}")
    desk, laptop = shown["sessions"]
    assert (shown["routable"], shown["why_not"]) == (True, None)
    assert (desk["session_id"], desk["label"], desk["state"]) == ("desk", None, "dropped")
    assert desk["dropped_at"] < desk["grace_ends_at"]
    assert (laptop["session_id"], laptop["label"], laptop["state"]) == ("laptop", "my-repo", "live")
    assert laptop["dropped_at"] is laptop["grace_ends_at"] is None and laptop["last_seen_at"].endswith("Z")


def test_agents_are_seen_by_those_who_share_a_creative(alice: Person, bob: Person, mallory: Person) -> None:
    id = alice.register()["agent_id"]
    assert bob.send("GET", f"/agents/{id}").status_code == 404
    alice.call("POST", f"/creatives/{alice.creative()}/shares", {"level": "read", "user_id": bob.id})
    assert bob.call("GET", f"/agents/{id}")["id"] == id
    assert mallory.send("GET", f"/agents/{id}").status_code == 404
    assert mallory.call("GET", "/agents")["items"] == []


def test_its_owner_decides_what_it_takes(alice: Person) -> None:
    id = alice.register()["agent_id"]
    wanted = {"routing_expression": 'message.text.contains("build")', "keep_seconds": 60, "max_tasks": 3}
    changed = alice.call("PATCH", f"/agents/{id}", wanted)
    assert {name: changed[name] for name in wanted} == wanted
    part = alice.call("PATCH", f"/agents/{id}", {"max_tasks": None})
    assert (part["max_tasks"], part["keep_seconds"]) == (None, 60)
    assert alice.call("PATCH", f"/agents/{id}", {"routing_expression": None})["routing_expression"] is None


def test_nobody_else_decides(alice: Person, bob: Person, mallory: Person) -> None:
    id = alice.register()["agent_id"]
    alice.call("POST", f"/creatives/{alice.creative()}/shares", {"level": "admin", "user_id": bob.id})
    assert bob.call("PATCH", f"/agents/{id}", {"keep_seconds": 5}, status=403)["code"] == "forbidden"
    assert mallory.call("PATCH", f"/agents/{id}", {"keep_seconds": 5}, status=404)["code"] == "not_found"
    assert alice.call("GET", f"/agents/{id}")["keep_seconds"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("routing_expression", "system("),
        ("routing_expression", 5),
        ("keep_seconds", -1),
        ("keep_seconds", 10**30),
        ("keep_seconds", None),
        ("keep_seconds", True),
        ("max_tasks", 0),
        ("max_tasks", "3"),
        ("name", "other"),
    ],
)
def test_an_unclear_decision_is_refused_by_its_field(alice: Person, field: str, value: object) -> None:
    id = alice.register()["agent_id"]
    refused = alice.call("PATCH", f"/agents/{id}", {field: value}, status=422)
    assert refused["code"] == "invalid" and field in refused["error"]


def test_an_agent_behind_a_gateway_needs_one(alice: Person) -> None:
    body = {"name": "Pilot", "gateway_id": 1, "gateway_agent_id": "main"}
    refused = alice.call("POST", "/agents", body, status=422)
    assert refused["code"] == "invalid" and "gateway_id" in refused["error"]
