"""`DELETE /api/v1/agent/:agent_id`: section 4.2 of the agent channel."""

import pytest

from tests.webapp.api.conftest import Person, connect, rows, value


def leave(person: Person, told: dict[str, int], **given: object) -> int:
    """The status of a goodbye; `given` replaces what the plugin would send, None leaves it out."""
    query = {"topic_id": told["topic_id"], "session_id": told["session_id"], **given}
    sent = {name: value for name, value in query.items() if value is not None}
    return person.send("DELETE", f"/agent/{told['agent_id']}", query_string=sent).status_code


def live(agent_id: int) -> list[str]:
    found = rows("SELECT session_id FROM agent_subscriptions WHERE agent_id = :id ORDER BY id", id=agent_id)
    return [session_id for [session_id] in found]


def archived(topic_id: int) -> bool:
    return value("SELECT archived_at IS NOT NULL FROM topics WHERE id = :id", id=topic_id)


def status(task_id: int) -> str:
    return value("SELECT status FROM tasks WHERE id = :id", id=task_id)


def test_a_goodbye_is_answered_with_nothing_and_archives_the_topic(alice: Person) -> None:
    told = alice.register()
    connect(told["agent_id"])
    path = f"/agent/{told['agent_id']}?topic_id={told['topic_id']}&session_id=laptop"
    answer = alice.send("DELETE", path)
    assert (answer.status_code, answer.data) == (204, b"") and archived(told["topic_id"])
    assert live(told["agent_id"]) == [] and not alice.call("GET", f"/agents/{told['agent_id']}")["routable"]


def test_a_goodbye_needs_a_token(alice: Person) -> None:
    told = alice.register()
    assert alice.client.delete(f"/api/v1/agent/{told['agent_id']}?topic_id={told['topic_id']}").status_code == 401
    assert not archived(told["topic_id"])


@pytest.mark.parametrize("topic_id", [None, "", "  "])
def test_without_a_topic_nothing_changes(alice: Person, topic_id: str | None) -> None:
    told = alice.register()
    connect(told["agent_id"])
    assert leave(alice, told, topic_id=topic_id) == 422
    assert not archived(told["topic_id"]) and live(told["agent_id"]) == ["laptop"]


def test_somebody_elses_agent_and_an_unknown_one_are_not_found(alice: Person, mallory: Person) -> None:
    told = alice.register()
    assert leave(mallory, told) == 404
    for unknown in (10**9, 10**30):
        assert leave(alice, {**told, "agent_id": unknown}) == 404
    assert not archived(told["topic_id"])


def test_the_parameters_may_come_as_json(alice: Person) -> None:
    told = alice.register()
    connect(told["agent_id"])
    body = {"topic_id": told["topic_id"], "session_id": "laptop"}
    assert alice.send("DELETE", f"/agent/{told['agent_id']}", body).status_code == 204
    assert archived(told["topic_id"]) and live(told["agent_id"]) == []


def test_without_a_session_id_the_topics_session_leaves(alice: Person) -> None:
    told = alice.register()
    connect(told["agent_id"])
    assert leave(alice, told, session_id=None) == 204
    assert live(told["agent_id"]) == []


def test_work_given_to_the_agent_is_cancelled_wherever_it_is(alice: Person) -> None:
    told = alice.register()
    connect(told["agent_id"])
    elsewhere = alice.topic("Elsewhere", primary_agent_id=told["agent_id"])
    mine, shared = alice.say(told["topic_id"])["tasks"][0]["id"], alice.say(elsewhere)["tasks"][0]["id"]
    waiting = alice.say(elsewhere, "and then")["tasks"][0]["id"]
    assert [status(id) for id in (mine, shared, waiting)] == ["delegated", "delegated", "queued"]
    assert leave(alice, told) == 204
    assert [status(id) for id in (mine, shared, waiting)] == ["cancelled"] * 3


def test_what_waits_is_cancelled_and_never_started(alice: Person) -> None:
    told = alice.register()
    connect(told["agent_id"])
    alice.say(told["topic_id"])
    waiting = alice.say(told["topic_id"], "and then")["tasks"][0]["id"]
    leave(alice, told)
    assert [line["event"] for line in alice.task(waiting)["timeline"]] == ["queued", "cancelled"]


def test_a_claimed_task_is_cancelled_too(alice: Person) -> None:
    told = alice.register()
    connect(told["agent_id"])
    task = alice.say(told["topic_id"])["tasks"][0]["id"]
    rows("UPDATE tasks SET status = 'claimed' WHERE id = :id RETURNING id", id=task)
    leave(alice, told)
    assert status(task) == "cancelled"


def test_the_queue_of_another_agent_goes_on(alice: Person) -> None:
    told, scribe = alice.register(), alice.register("scribe", "desk")
    connect(told["agent_id"])
    connect(scribe["agent_id"], "desk")
    topic_id = alice.topic("Shared", primary_agent_id=told["agent_id"])
    alice.say(topic_id)
    waiting = alice.say(topic_id, "@scribe write it down")["tasks"][0]["id"]
    assert status(waiting) == "queued"
    leave(alice, told)
    assert status(waiting) == "delegated"


def test_the_queue_goes_on_when_only_waiting_work_was_cancelled(alice: Person) -> None:
    told, scribe = alice.register(), alice.register("scribe", "desk")
    connect(scribe["agent_id"], "desk")
    topic_id = alice.topic("Shared", primary_agent_id=told["agent_id"])
    absent = alice.say(topic_id)["tasks"][0]["id"]
    waiting = alice.say(topic_id, "@scribe write it down")["tasks"][0]["id"]
    assert status(absent) == "queued"
    leave(alice, told)
    assert (status(absent), status(waiting)) == ("cancelled", "delegated")


def test_a_live_sibling_keeps_agent_topic_and_work(alice: Person) -> None:
    laptop, desk = alice.register(session_id="laptop"), alice.register(session_id="desk")
    connect(laptop["agent_id"], "laptop")
    connect(desk["agent_id"], "desk")
    theirs, mine = alice.say(desk["topic_id"])["tasks"][0]["id"], alice.say(laptop["topic_id"])["tasks"][0]["id"]
    assert leave(alice, laptop) == 204
    assert (status(theirs), status(mine)) == ("delegated", "cancelled")
    assert archived(laptop["topic_id"]) and not archived(desk["topic_id"])
    assert live(desk["agent_id"]) == ["desk"] and alice.call("GET", f"/agents/{desk['agent_id']}")["routable"]


def test_a_row_of_its_own_that_is_still_live_is_no_sibling(alice: Person) -> None:
    told = alice.register()
    connect(told["agent_id"])
    task = alice.say(told["topic_id"])["tasks"][0]["id"]
    assert live(told["agent_id"]) == ["laptop"]
    leave(alice, told)
    assert (live(told["agent_id"]), status(task)) == ([], "cancelled")


def test_a_silent_sibling_is_none(alice: Person) -> None:
    laptop, desk = alice.register(session_id="laptop"), alice.register(session_id="desk")
    connect(laptop["agent_id"], "laptop")
    connect(desk["agent_id"], "desk")
    silence = "UPDATE agent_subscriptions SET last_seen_at = now() - interval '1 hour' WHERE session_id = :session"
    rows(f"{silence} AND agent_id = :id RETURNING id", session="desk", id=desk["agent_id"])
    topic_id = alice.topic("Shared", primary_agent_id=laptop["agent_id"])
    task = alice.say(topic_id)["tasks"][0]["id"]
    leave(alice, laptop)
    assert status(task) == "cancelled"


@pytest.mark.parametrize("topic_id", ["999999999", "abc", "0", str(10**30), "-1"])
def test_a_topic_that_is_none_still_lets_the_session_leave(alice: Person, topic_id: str) -> None:
    told = alice.register()
    connect(told["agent_id"])
    assert leave(alice, told, topic_id=topic_id) == 204
    assert live(told["agent_id"]) == [] and not archived(told["topic_id"])


def test_a_topic_of_the_inbox_that_is_not_the_agents_stays(alice: Person) -> None:
    told = alice.register()
    other = alice.topic("Mine")
    assert leave(alice, told, topic_id=other) == 204
    assert not archived(other)


def test_a_topic_of_somebody_else_stays(alice: Person, bob: Person) -> None:
    told, theirs = alice.register(), bob.register()
    assert leave(alice, told, topic_id=theirs["topic_id"]) == 204
    assert not archived(theirs["topic_id"])


def test_the_owners_routing_expression_survives(alice: Person) -> None:
    told = alice.register()
    expression = 'message.text.contains("build")'
    alice.call("PATCH", f"/agents/{told['agent_id']}", {"routing_expression": expression})
    connect(told["agent_id"])
    leave(alice, told)
    assert alice.call("GET", f"/agents/{told['agent_id']}")["routing_expression"] == expression


def test_leaving_twice_is_no_error(alice: Person) -> None:
    told = alice.register()
    assert [leave(alice, told), leave(alice, told)] == [204, 204]
