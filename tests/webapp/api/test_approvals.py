"""`/api/v1/approvals`: who sees what agents ask, and who decides it."""

import threading
from typing import Any

import pytest

from models.creative import Level
from tests.webapp.api.conftest import Join, Person, connect, generation_of, rows, value, with_another_token
from tests.webapp.api.test_notify import Turn, turn

__all__ = ["turn"]

FIELDS = {
    "id",
    "kind",
    "request_id",
    "agent_id",
    "topic_id",
    "task_id",
    "gateway_id",
    "tool_name",
    "description",
    "input",
    "question",
    "allowed",
    "status",
    "reason",
    "decided_by",
    "decided_at",
    "expires_at",
    "created_at",
}


@pytest.fixture
def hand(turn: Turn) -> Person:
    """Alice, with a token that no plugin uses."""
    return with_another_token(turn.alice)


def asked(turn: Turn, request_id: str = "abcde", **given: Any) -> int:
    """The id of the approval of a new prompt."""
    return turn.approval(turn.tool(request_id, **given).get_json()["comment_id"])["id"]


def question(turn: Turn, request_id: str = "approval-1", **given: Any) -> int:
    return turn.approval(turn.question(request_id, **given).get_json()["comment_id"])["id"]


def going_on(turn: Turn) -> list[int]:
    """The tasks that tell of the decision on approval-1."""
    tasks = "SELECT id FROM tasks WHERE topic_id = :id AND approval_request_id = 'approval-1'"
    return [id for (id,) in rows(tasks, id=turn.topic_id)]


def decide(by: Person, id: int, behavior: str = "allow", **given: Any) -> Any:
    return by.send("POST", f"/approvals/{id}/decision", {"behavior": behavior, **given})


def test_an_approval_has_the_fields_of_the_contract(turn: Turn, hand: Person) -> None:
    id = asked(turn)
    found = hand.call("GET", f"/approvals/{id}")
    assert set(found) == FIELDS and found["allowed"] == ["allow", "deny"]
    assert (found["decided_by"], found["decided_at"], found["gateway_id"], found["expires_at"]) == (None,) * 4
    assert found["created_at"].endswith("Z")


def test_a_decision_answers_the_approval(turn: Turn, hand: Person) -> None:
    answer = decide(hand, asked(turn), "deny", reason="  not now ")
    assert answer.status_code == 200
    found = answer.get_json()
    assert (found["status"], found["reason"]) == ("denied", "not now") and found["decided_at"].endswith("Z")
    assert found["decided_by"] == {"id": hand.id, "name": "Alice"}


def test_the_second_decision_is_told_what_was_decided_by_whom_and_when(turn: Turn, hand: Person, join: Join) -> None:
    carol = join("Carol", "approver")
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": "feedback", "user_id": carol.id})
    id = asked(turn)
    first = decide(carol, id, "deny").get_json()
    refused = decide(hand, id, "allow")
    assert refused.status_code == 409
    assert refused.get_json() == {
        "error": "This was already decided: Carol denied it.",
        "code": "already_decided",
        "behavior": "deny",
        "decided_by": {"id": carol.id, "name": "Carol"},
        "decided_at": first["decided_at"],
    }
    assert hand.call("GET", f"/approvals/{id}") == first
    # Even one that could never have been chosen here.
    assert decide(hand, id, "allow_always").get_json() == refused.get_json()


def test_of_two_deciders_who_race_one_wins(turn: Turn, hand: Person, join: Join) -> None:
    carol = join("Carol", "approver")
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": "feedback", "user_id": carol.id})
    for number in range(10):
        id, start = question(turn, f"approval-{number}"), threading.Barrier(2)
        statuses: list[int] = []

        def race(by: Person, id: int = id, start: threading.Barrier = start, to: list[int] = statuses) -> None:
            start.wait(10)
            to.append(decide(by, id).status_code)

        both = [threading.Thread(target=race, args=(by,)) for by in (hand, carol)]
        for one in both:
            one.start()
        for one in both:
            one.join(20)
        assert sorted(statuses) == [200, 409]


@pytest.mark.parametrize("behavior", ["allow_always", "yes", "", None])
def test_what_may_not_be_decided_is_invalid(turn: Turn, hand: Person, behavior: Any) -> None:
    id = asked(turn)
    refused = hand.send("POST", f"/approvals/{id}/decision", {"behavior": behavior})
    assert refused.status_code == 422 and "behavior" in refused.get_json()["error"]
    assert hand.call("GET", f"/approvals/{id}")["status"] == "pending"


def test_a_prompt_of_a_turn_that_ended_is_decided_no_more(turn: Turn, hand: Person) -> None:
    id = asked(turn)
    turn.alice.call("POST", f"/tasks/{turn.task_id}/cancel")
    refused = decide(hand, id)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "wrong_state")


@pytest.mark.parametrize("call", ["register", "reply", "notify", "unregister", "suspend"])
def test_a_token_that_spoke_for_an_agent_decides_nothing(turn: Turn, hand: Person, call: str) -> None:
    id = asked(turn, task_id=None)
    plugin = with_another_token(turn.alice)
    if call == "register":
        plugin.register("another")
    elif call == "reply":
        plugin.call("POST", "/agent/reply", {"topic_id": turn.topic_id, "text": "x", "task_id": turn.task_id})
    elif call == "notify":
        plugin.call("POST", "/agent/notify", {"topic_id": turn.topic_id, "text": "x", "task_id": turn.task_id})
    elif call == "unregister":
        plugin.call("DELETE", f"/agent/{turn.agent_id}?topic_id=1&session_id=desk")
    else:
        attempt = {"reason": "quota", "execution_generation": generation_of(turn.task_id)}
        plugin.call("POST", f"/agent/tasks/{turn.task_id}/suspend", attempt)
    refused = decide(plugin, id)
    assert refused.status_code == 403 and "agents decide nothing" in refused.get_json()["error"]
    assert hand.call("GET", f"/approvals/{id}")["status"] == "pending"
    assert decide(hand, id).status_code == 200


def test_a_token_is_noted_as_a_plugins_once(turn: Turn) -> None:
    stamps = "SELECT plugin_at FROM access_tokens WHERE user_id = :id"
    first = value(stamps, id=turn.alice.id)
    turn.notify(text="again")
    assert first is not None and value(stamps, id=turn.alice.id) == first


def test_chat_never_decides(turn: Turn) -> None:
    id = asked(turn)
    for text in ("allow", "yes abcde", "/allow abcde"):
        turn.alice.say(turn.topic_id, text)
    assert turn.alice.call("GET", f"/approvals/{id}")["status"] == "pending"


def test_a_member_decides_nothing_for_others(turn: Turn, bob: Person) -> None:
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": Level.ADMIN, "user_id": bob.id})
    id = asked(turn)
    assert decide(bob, id).status_code == 403 and bob.call("GET", "/approvals")["items"] == []


def test_a_stranger_finds_no_approval(turn: Turn, mallory: Person) -> None:
    id = asked(turn)
    assert decide(mallory, id).status_code == 404 and mallory.call("GET", "/approvals")["items"] == []
    assert decide(with_another_token(turn.alice), 10**9).status_code == 404


def test_the_list_holds_what_one_may_decide_newest_first(turn: Turn, hand: Person, join: Join) -> None:
    carol = join("Carol", "approver")
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": "feedback", "user_id": carol.id})
    first, second, third = (asked(turn, f"id{number}") for number in range(3))
    decide(carol, second)
    for person in (hand, carol):
        assert [one["id"] for one in person.call("GET", "/approvals")["items"]] == [third, second, first]
        assert [one["id"] for one in person.call("GET", "/approvals?status=pending")["items"]] == [third, first]
        assert [one["id"] for one in person.call("GET", "/approvals?status=allowed")["items"]] == [second]
        page = hand.call("GET", "/approvals?limit=2")
        assert [one["id"] for one in page["items"]] == [third, second] and page["next"] == second
        assert [one["id"] for one in hand.call("GET", f"/approvals?after={page['next']}")["items"]] == [first]


def test_a_status_that_is_none_is_refused_in_words(hand: Person) -> None:
    refused = hand.send("GET", "/approvals?status=open")
    assert refused.status_code == 422 and "pending" in refused.get_json()["error"]


def test_a_question_decided_after_its_turn_goes_on_with_one_new_task(turn: Turn, hand: Person) -> None:
    id, other = question(turn), question(turn, "approval-2")
    body = {
        "topic_id": turn.topic_id,
        "text": "I asked.",
        "task_id": turn.task_id,
        "pending_approval_ids": ["approval-1", "approval-2", "approval-9", "approval-1"],
    }
    taken = turn.alice.call("POST", "/agent/reply", body)["pending_approval_ids"]
    assert taken == ["approval-1", "approval-2"]
    assert turn.alice.call("GET", f"/approvals/{id}")["status"] == "pending"
    assert decide(hand, id, "deny", reason="Friday").status_code == 200
    [task_id] = going_on(turn)
    task = hand.task(task_id)
    assert (task["status"], task["agent_id"]) == ("delegated", turn.agent_id)
    said = turn.message(task["message_id"])
    assert said["author"]["id"] == turn.agent_id
    assert all(word in said["text"] for word in ("Ship it?", "denied", "Friday", "Alice"))
    assert decide(hand, other).status_code == 200
    assert value("SELECT count(*) FROM tasks WHERE topic_id = :id", id=turn.topic_id) == 3


def test_a_question_decided_before_its_turn_ended_goes_on_with_the_answer(turn: Turn, hand: Person) -> None:
    decide(hand, question(turn))
    body = {"topic_id": turn.topic_id, "text": "x", "task_id": turn.task_id, "pending_approval_ids": ["approval-1"]}
    assert turn.alice.call("POST", "/agent/reply", body)["pending_approval_ids"] == ["approval-1"]
    assert [hand.task(id)["status"] for id in going_on(turn)] == ["delegated"]


def test_a_question_the_agent_heard_of_in_time_gives_no_new_task(turn: Turn, hand: Person) -> None:
    decide(hand, question(turn))
    body = {"topic_id": turn.topic_id, "text": "x", "task_id": turn.task_id, "pending_approval_ids": []}
    assert turn.alice.call("POST", "/agent/reply", body)["pending_approval_ids"] == []
    assert value("SELECT count(*) FROM tasks WHERE topic_id = :id", id=turn.topic_id) == 1


def test_ids_of_another_task_stay_with_the_plugin(turn: Turn) -> None:
    question(turn, task_id=None)
    body = {"topic_id": turn.topic_id, "text": "x", "task_id": turn.task_id, "pending_approval_ids": ["approval-1", ""]}
    assert turn.alice.call("POST", "/agent/reply", body)["pending_approval_ids"] == []


def test_an_answer_that_is_refused_takes_nothing_over(turn: Turn) -> None:
    question(turn)
    body = {"topic_id": turn.topic_id, "text": " ", "task_id": turn.task_id, "pending_approval_ids": ["approval-1"]}
    assert turn.alice.send("POST", "/agent/reply", body).status_code == 422
    taken = "SELECT turn_finished_at FROM permission_requests WHERE topic_id = :id"
    assert value(taken, id=turn.topic_id) is None


def test_the_continuation_is_in_the_approvers_language(turn: Turn, hand: Person) -> None:
    rows("UPDATE users SET locale = 'ko' WHERE id = :id RETURNING id", id=hand.id)
    decide(hand, question(turn))
    body = {"topic_id": turn.topic_id, "text": "x", "task_id": turn.task_id, "pending_approval_ids": ["approval-1"]}
    turn.alice.call("POST", "/agent/reply", body)
    assert "허용했습니다" in turn.alice.texts(turn.topic_id)[-1]


def test_an_approver_who_only_reads_may_decide_what_was_asked_of_them(turn: Turn, bob: Person) -> None:
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": "read", "user_id": bob.id})
    assert decide(bob, question(turn, approver_user_id=bob.id)).status_code == 200


def test_a_second_session_does_not_hear_the_same_continuation_twice(turn: Turn, hand: Person) -> None:
    connect(turn.agent_id, "desk")
    decide(hand, question(turn))
    body = {"topic_id": turn.topic_id, "text": "x", "task_id": turn.task_id, "pending_approval_ids": ["approval-1"]}
    turn.alice.call("POST", "/agent/reply", body)
    assert turn.alice.send("POST", "/agent/reply", body).status_code == 403
    assert len(going_on(turn)) == 1
