"""Tasks: to look at, to end, to give once more."""

import pytest

from tests.webapp.api.conftest import Person, connect, disconnect, generation_of, rows
from webapp.advance import advance_due_topics

FIELDS = {
    "id", "topic_id", "message_id", "agent_id", "parent_id", "status", "why", "until", "run_id", "gateway_id",
    "partial", "reply_message_id", "created_at", "finished_at", "timeline",
}  # fmt: skip


@pytest.fixture
def scout(alice: Person) -> int:
    """Alice's agent; one session of it is there."""
    agent_id = alice.register()["agent_id"]
    connect(agent_id)
    return agent_id


def given(alice: Person, agent_id: int, text: str = "Build it") -> tuple[int, int]:
    """A topic and the task that a message in it became."""
    topic_id = alice.topic(primary_agent_id=agent_id)
    return topic_id, alice.say(topic_id, text)["tasks"][0]["id"]


def answer(alice: Person, topic_id: int, task_id: int, generation: str) -> int:
    body = {"topic_id": topic_id, "task_id": task_id, "text": "Done.", "execution_generation": generation}
    return alice.send("POST", "/agent/reply", body).status_code


def test_a_task_shows_every_field_and_its_timeline(alice: Person, scout: int) -> None:
    topic_id, id = given(alice, scout)
    shown = alice.task(id)
    assert set(shown) == FIELDS
    assert (shown["status"], shown["topic_id"], shown["agent_id"]) == ("delegated", topic_id, scout)
    assert [(line["event"], line["actor"]) for line in shown["timeline"]] == [("queued", "Alice"), ("delegated", "hub")]
    assert all(set(line) == {"at", "event", "text", "actor"} for line in shown["timeline"])


def test_tasks_are_listed_by_status_agent_and_topic(alice: Person, scout: int) -> None:
    one_topic, one = given(alice, scout)
    _, two = given(alice, scout)
    alice.call("POST", f"/tasks/{two}/cancel")

    def listed(query: str) -> list[int]:
        return [task["id"] for task in alice.call("GET", f"/tasks?{query}")["items"]]

    assert listed("") == listed("status=&agent_id=&topic_id=") == [two, one]
    assert (listed("status=cancelled"), listed("status=delegated")) == ([two], [one])
    assert (listed(f"topic_id={one_topic}"), listed(f"agent_id={scout}&status=delegated")) == ([one], [one])
    assert listed(f"agent_id={scout + 1000}") == []


def test_strangers_find_no_task(alice: Person, scout: int, mallory: Person) -> None:
    _, id = given(alice, scout)
    for method, path, body in (
        ("GET", f"/tasks/{id}", None),
        ("POST", f"/tasks/{id}/cancel", None),
        ("POST", f"/tasks/{id}/retry", None),
        ("POST", f"/tasks/{id}/reassign", {"agent_id": scout}),
    ):
        mallory.call(method, path, body, status=404)
    assert mallory.call("GET", "/tasks")["items"] == [] and alice.task(id)["status"] == "delegated"


def test_who_may_only_read_sees_a_task_and_ends_none(alice: Person, scout: int, bob: Person) -> None:
    creative_id = alice.creative()
    alice.call("POST", f"/creatives/{creative_id}/shares", {"level": "read", "user_id": bob.id})
    id = alice.say(alice.topic(creative_id=creative_id, primary_agent_id=scout))["tasks"][0]["id"]
    assert bob.task(id)["status"] == "delegated"
    for verb, body in (("cancel", None), ("retry", None), ("reassign", {"agent_id": scout})):
        bob.call("POST", f"/tasks/{id}/{verb}", body, status=403)
    assert alice.task(id)["status"] == "delegated"


def test_cancelling_ends_a_task_and_refuses_its_answer(alice: Person, scout: int) -> None:
    topic_id, id = given(alice, scout)
    generation = generation_of(id)
    cancelled = alice.call("POST", f"/tasks/{id}/cancel", status=200)
    assert (cancelled["status"], cancelled["why"]) == ("cancelled", "Cancelled by Alice.") and cancelled["finished_at"]
    assert answer(alice, topic_id, id, generation) == 403 and alice.texts(topic_id) == ["Build it"]
    assert alice.call("GET", f"/topics/{topic_id}/messages")["items"][0]["delivery"] == "failed"


def test_cancelling_lets_the_next_task_go(alice: Person, scout: int) -> None:
    topic_id, id = given(alice, scout)
    waiting = alice.say(topic_id, "and then")["tasks"][0]["id"]
    assert alice.task(waiting)["status"] == "queued"
    alice.call("POST", f"/tasks/{id}/cancel")
    assert alice.task(waiting)["status"] == "delegated"


def test_cancelling_frees_the_agents_place_elsewhere(alice: Person, scout: int) -> None:
    alice.call("PATCH", f"/agents/{scout}", {"max_tasks": 1})
    (_, id), (_, waiting) = given(alice, scout), given(alice, scout)
    assert alice.task(waiting)["status"] == "queued"
    alice.call("POST", f"/tasks/{id}/cancel")
    assert alice.task(waiting)["status"] == "delegated"


def test_what_has_ended_is_not_cancelled(alice: Person, scout: int) -> None:
    _, id = given(alice, scout)
    alice.call("POST", f"/tasks/{id}/cancel")
    refused = alice.call("POST", f"/tasks/{id}/cancel", status=409)
    assert refused["code"] == "wrong_state" and "cancelled" in refused["error"]


def test_a_cancelled_task_is_tried_again_under_a_new_generation(alice: Person, scout: int) -> None:
    topic_id, id = given(alice, scout)
    old = generation_of(id)
    alice.call("POST", f"/tasks/{id}/cancel")
    again = alice.call("POST", f"/tasks/{id}/retry", status=200)
    assert (again["status"], again["finished_at"], again["why"]) == ("delegated", None, None)
    assert generation_of(id) != old
    assert [answer(alice, topic_id, id, generation) for generation in (old, generation_of(id))] == [409, 201]


def test_a_failed_task_waits_for_its_agent_when_tried_again(alice: Person, scout: int) -> None:
    disconnect(connect(scout, "laptop"))
    _, id = given(alice, scout)
    rows("UPDATE tasks SET status = 'failed', finished_at = now() WHERE id = :id RETURNING id", id=id)
    again = alice.call("POST", f"/tasks/{id}/retry")
    assert (again["status"], again["why"]) == ("queued", "scout is not connected.")
    connect(scout)
    advance_due_topics()  # as the cable does when a session has come
    assert alice.task(id)["status"] == "delegated"


@pytest.mark.parametrize("verb", ["retry", "reassign"])
def test_what_is_being_worked_on_is_not_given_again(alice: Person, scout: int, verb: str) -> None:
    topic_id, id = given(alice, scout)
    body = {"agent_id": scout} if verb == "reassign" else None
    assert alice.call("POST", f"/tasks/{id}/{verb}", body, status=409)["code"] == "wrong_state"
    answer(alice, topic_id, id, generation_of(id))
    assert alice.call("POST", f"/tasks/{id}/{verb}", body, status=409)["code"] == "wrong_state"
    assert alice.task(id)["status"] == "done"


def test_a_waiting_task_is_given_to_another_agent(alice: Person, scout: int) -> None:
    away = alice.register("scribe", "desk")["agent_id"]
    _, id = given(alice, away)
    assert alice.task(id)["status"] == "queued"
    moved = alice.call("POST", f"/tasks/{id}/reassign", {"agent_id": scout}, status=200)
    assert (moved["agent_id"], moved["status"]) == (scout, "delegated")
    assert "Given to scout by Alice." in [line["text"] for line in moved["timeline"]]


def test_a_task_bound_to_a_session_is_free_of_it_when_another_agent_takes_it(alice: Person, scout: int) -> None:
    told = alice.register("scribe", "desk")
    id = alice.say(told["topic_id"])["tasks"][0]["id"]
    assert alice.call("POST", f"/tasks/{id}/reassign", {"agent_id": scout})["status"] == "delegated"


def test_a_task_is_given_only_to_an_agent_that_may_work_there(alice: Person, scout: int, bob: Person) -> None:
    away = alice.register("scribe", "desk")["agent_id"]
    _, id = given(alice, away)
    for agent_id in (bob.register()["agent_id"], 10**9):
        refused = alice.call("POST", f"/tasks/{id}/reassign", {"agent_id": agent_id}, status=422)
        assert "agent_id" in refused["error"]
    assert alice.task(id)["agent_id"] == away
