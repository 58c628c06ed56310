"""`POST /api/v1/agent/register`: section 4.1 of the agent channel."""

import concurrent.futures
import threading

import pytest
from flask import Flask

from tests.webapp.api.conftest import Person, connect, rows, value


def agents_of(person: Person) -> int:
    return value("SELECT count(*) FROM agents WHERE owner_id = :id", id=person.id)


def topics_of(person: Person) -> int:
    return value(
        "SELECT count(*) FROM topics t JOIN creatives c ON c.id = t.creative_id WHERE c.owner_id = :id", id=person.id
    )


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Basic abc", "Bearer sy_nobody_nothing"])
def test_registering_needs_a_valid_token(alice: Person, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = alice.client.post("/api/v1/agent/register", json={"name": "scout"}, headers=headers)
    assert answer.status_code == 401 and set(answer.get_json()) == {"error", "code"}


def test_the_scheme_may_be_written_in_any_case(alice: Person) -> None:
    headers = {"Authorization": f"bEARER {alice.token}"}
    assert alice.client.post("/api/v1/agent/register", json={"name": "scout"}, headers=headers).status_code == 200


def test_registering_answers_exactly_what_a_plugin_reads(alice: Person) -> None:
    told = alice.register("scout", "9f0c", session_label="my-repo", name="scout-9f0c")
    assert told == {
        "agent_id": told["agent_id"],
        "agent_name": "Claude Channel (scout)",
        "topic_id": told["topic_id"],
        "topic_name": "Claude my-repo",
        "session_id": "9f0c",
        "inbox_creative_id": told["inbox_creative_id"],
        "ws_url": "/cable",
    }
    assert isinstance(told["agent_id"], int) and isinstance(told["topic_id"], int)


def test_registering_makes_one_agent_one_topic_and_one_share(alice: Person) -> None:
    told = alice.register()
    made = rows(
        "SELECT vendor, model, owner_id, kind, routing_expression FROM agents WHERE id = :id", id=told["agent_id"]
    )
    assert made == [("anthropic", "claude-code", alice.id, "plugin", None)]
    topic = rows("SELECT primary_agent_id, session_id, creative_id FROM topics WHERE id = :id", id=told["topic_id"])
    assert topic == [(told["agent_id"], "laptop", told["inbox_creative_id"])]
    shares = rows("SELECT creative_id, level FROM creative_shares WHERE agent_id = :id", id=told["agent_id"])
    assert shares == [(told["inbox_creative_id"], "feedback")]
    assert (agents_of(alice), topics_of(alice)) == (1, 1)


def test_the_same_pair_twice_changes_nothing(alice: Person) -> None:
    assert alice.register() == alice.register()
    assert (agents_of(alice), topics_of(alice)) == (1, 1)
    assert (
        value(
            "SELECT count(*) FROM creative_shares s JOIN agents a ON a.id = s.agent_id WHERE a.owner_id = :id",
            id=alice.id,
        )
        == 1
    )


def test_the_older_name_alone_stands_for_both(alice: Person) -> None:
    one, two, again = (alice.call("POST", "/agent/register", {"name": name}) for name in ("one", "two", " one "))
    assert one["session_id"] == "one" and one["agent_id"] != two["agent_id"]
    assert (one["agent_id"], one["topic_id"]) == (again["agent_id"], again["topic_id"])


@pytest.mark.parametrize("missing", ["agent_name", "session_id"])
def test_the_older_name_stands_in_for_whichever_is_blank(alice: Person, missing: str) -> None:
    given = {"agent_name": "scout", "session_id": "laptop", missing: "  ", "name": "scout-laptop"}
    told = alice.call("POST", "/agent/register", given)
    assert (told["agent_name"], told["session_id"]) == {
        "agent_name": ("Claude Channel (scout-laptop)", "laptop"),
        "session_id": ("Claude Channel (scout)", "scout-laptop"),
    }[missing]


@pytest.mark.parametrize("body", [{}, {"name": " "}, {"agent_name": "scout"}, {"session_id": "laptop"}])
def test_without_names_nothing_is_made(alice: Person, body: dict[str, str]) -> None:
    refused = alice.call("POST", "/agent/register", body, status=422)
    assert "agent_name" in refused["error"] and agents_of(alice) == 0


def test_an_identity_that_somebody_else_holds_is_a_conflict(alice: Person, bob: Person) -> None:
    agent_id = bob.register()["agent_id"]
    taken = "UPDATE agents SET identity_key = replace(identity_key, :theirs, :ours) WHERE id = :id RETURNING id"
    rows(taken, theirs=f"u{bob.id}-", ours=f"u{alice.id}-", id=agent_id)
    refused = alice.call("POST", "/agent/register", {"agent_name": "scout", "session_id": "laptop"}, status=409)
    assert "scout" in refused["error"] and (agents_of(alice), topics_of(alice)) == (0, 0)


def test_an_identity_held_by_an_agent_behind_a_gateway_is_a_conflict(alice: Person) -> None:
    rows("UPDATE agents SET kind = 'gateway' WHERE id = :id RETURNING id", id=alice.register()["agent_id"])
    assert alice.send("POST", "/agent/register", {"agent_name": "scout", "session_id": "laptop"}).status_code == 409
    assert agents_of(alice) == 1


def test_an_archived_topic_of_the_same_session_is_taken_out_again(alice: Person) -> None:
    told = alice.register()
    alice.call("PATCH", f"/topics/{told['topic_id']}", {"archived": True})
    assert alice.register()["topic_id"] == told["topic_id"]
    assert alice.call("GET", f"/topics/{told['topic_id']}")["archived"] is False


def test_one_agent_with_two_sessions_has_two_topics(alice: Person) -> None:
    laptop, desk = alice.register(session_id="laptop"), alice.register(session_id="desk")
    assert laptop["agent_id"] == desk["agent_id"] and laptop["topic_id"] != desk["topic_id"]


def test_two_agents_with_the_same_session_id_have_two_topics(alice: Person) -> None:
    scout, scribe = alice.register("scout"), alice.register("scribe")
    assert scout["agent_id"] != scribe["agent_id"] and scout["topic_id"] != scribe["topic_id"]


def test_names_that_differ_in_punctuation_are_different_agents(alice: Person) -> None:
    ids = {alice.register(name)["agent_id"] for name in ("qa/bot", "qa bot", "qa-bot")}
    assert len(ids) == 3 and alice.register(" QA/Bot ")["agent_id"] == alice.register("qa/bot")["agent_id"]


def test_two_people_with_the_same_agent_name_have_two_agents(alice: Person, bob: Person) -> None:
    assert alice.register()["agent_id"] != bob.register()["agent_id"]


def test_a_label_that_is_taken_gets_a_number(alice: Person) -> None:
    names = [alice.register(session_id=id, session_label="my-repo")["topic_name"] for id in ("a", "b", "c")]
    assert names == ["Claude my-repo", "Claude my-repo (2)", "Claude my-repo (3)"]


def test_without_a_label_the_session_id_names_the_topic(alice: Person) -> None:
    assert alice.register(session_label="  ")["topic_name"] == "Claude laptop"


def test_a_folder_may_be_called_anything(alice: Person) -> None:
    assert alice.register(session_label="a\tb\u200bc" + "d" * 300)["topic_name"].startswith("Claude a b cdd")


def test_registering_makes_nobody_routable(alice: Person) -> None:
    assert alice.call("GET", f"/agents/{alice.register()['agent_id']}")["routable"] is False


def test_registering_after_a_goodbye_gives_the_same_agent_still_not_routable(alice: Person) -> None:
    told = alice.register()
    connect(told["agent_id"])
    alice.call("DELETE", f"/agent/{told['agent_id']}?topic_id={told['topic_id']}&session_id=laptop")
    assert alice.register()["agent_id"] == told["agent_id"]
    assert alice.call("GET", f"/agents/{told['agent_id']}")["routable"] is False


def test_a_race_of_registrations_gives_everybody_the_same_ids(app: Flask, alice: Person) -> None:
    together = threading.Barrier(8)

    def register(_: int) -> tuple[int, int]:
        one = Person(app.test_client(), alice.id, alice.email, alice.token)
        together.wait(10)
        told = one.register()
        return told["agent_id"], told["topic_id"]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(register, range(8)))) == 1
    assert (agents_of(alice), topics_of(alice)) == (1, 1)


def test_what_a_newer_plugin_sends_besides_is_no_reason_to_refuse(alice: Person) -> None:
    assert alice.register(version="9.9", capabilities=["a"])["agent_id"]


def test_a_viewer_registers_nothing(alice: Person) -> None:
    rows("UPDATE users SET role = 'viewer' WHERE id = :id RETURNING id", id=alice.id)
    refused = alice.call("POST", "/agent/register", {"name": "scout"}, status=403)
    assert "member" in refused["error"] and agents_of(alice) == 0


@pytest.mark.parametrize("path", ["/api/v1/agent/register/", "//api/v1/agent/register", "/api//v1/agent/register"])
def test_a_slash_too_many_is_no_redirect(alice: Person, path: str) -> None:
    answer = alice.send("POST", "/agent/register", {"name": "scout"}, environ_overrides={"PATH_INFO": path})
    assert answer.status_code == 200
