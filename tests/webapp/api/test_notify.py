"""`POST /api/v1/agent/notify`: sections 6.1 and 6.2 of the agent channel."""

import concurrent.futures
import json
from typing import Any, NamedTuple

import pytest

from models import database
from models.base import database_time
from models.task import Task, TaskStatus
from models.topic import Topic
from tests.conditions import until
from tests.webapp.api.conftest import Join, Person, connect, disconnect, rows, value, with_another_token


class Turn(NamedTuple):
    """Scout is in a turn for Alice, in a topic of a creative."""

    alice: Person
    agent_id: int
    creative_id: int
    topic_id: int
    task_id: int

    def notify(self, by: Person | None = None, **given: Any) -> Any:
        """The answer to a notify; None leaves a field out."""
        body = {"topic_id": self.topic_id, "text": "", "task_id": self.task_id, **given}
        return (by or self.alice).send(
            "POST", "/agent/notify", {name: one for name, one in body.items() if one is not None}
        )

    def tool(self, request_id: str = "abcde", **given: Any) -> Any:
        words = {"tool_name": "Bash", "description": "List files", "arguments": {"command": "ls"}}
        return self.notify(permission_request_id=request_id, **{**words, **given})

    def question(self, request_id: str = "approval-1", **given: Any) -> Any:
        return self.notify(permission_request_id=request_id, **{"approval_question": "Ship it?", **given})

    @property
    def stored(self) -> int:
        """How much there is in the topic, and asked in it."""
        return value(
            "SELECT (SELECT count(*) FROM messages WHERE topic_id = :id)"
            " + (SELECT count(*) FROM permission_requests WHERE topic_id = :id)",
            id=self.topic_id,
        )

    def message(self, id: int) -> Any:
        found = self.alice.call("GET", f"/topics/{self.topic_id}/messages?limit=200")["items"]
        return next(one for one in found if one["id"] == id)

    def approval(self, comment_id: int) -> Any:
        id = value("SELECT id FROM permission_requests WHERE message_id = :id", id=comment_id)
        return self.alice.call("GET", f"/approvals/{id}")


@pytest.fixture
def turn(alice: Person) -> Turn:
    agent_id = alice.register()["agent_id"]
    connect(agent_id)
    creative_id = alice.creative()
    topic_id = alice.topic(creative_id=creative_id, primary_agent_id=agent_id)
    task_id = alice.say(topic_id)["tasks"][0]["id"]
    return Turn(alice, agent_id, creative_id, topic_id, task_id)


def test_a_notice_is_posted_as_the_agent_and_the_task_stays_delegated(turn: Turn) -> None:
    answer = turn.notify(text="Still at it.")
    assert answer.status_code == 201
    said = turn.message(answer.get_json()["comment_id"])
    assert (said["text"], said["source"], said["task_id"]) == ("Still at it.", "notice", None)
    assert said["author"] == {"kind": "agent", "id": turn.agent_id, "name": "Claude Channel (scout)"}
    task = turn.alice.task(turn.task_id)
    assert (task["status"], task["reply_message_id"]) == ("delegated", None)


def test_a_notice_gives_nobody_work(turn: Turn) -> None:
    turn.notify(text="@scout look at this")
    assert value("SELECT count(*) FROM tasks WHERE topic_id = :id", id=turn.topic_id) == 1


def test_notify_needs_a_token(turn: Turn) -> None:
    assert turn.alice.client.post("/api/v1/agent/notify", json={}).status_code == 401


def test_a_blank_notice_is_refused(turn: Turn) -> None:
    refused = turn.notify(text="  ")
    assert refused.status_code == 422 and refused.get_json()["errors"] and "error" in refused.get_json()


def test_without_a_task_the_topics_own_plugin_speaks(turn: Turn) -> None:
    assert turn.notify(task_id=None, text="Local turn").status_code == 201
    nobodys = turn.alice.topic("Nobody's", creative_id=turn.creative_id)
    before = turn.stored
    assert turn.notify(topic_id=nobodys, task_id=None, text="x").status_code == 403
    assert turn.stored == before and turn.alice.texts(nobodys) == []


def test_a_task_in_a_topic_of_another_primary_agent_is_spoken_for_by_its_own(turn: Turn) -> None:
    scribe = turn.alice.register("scribe")["agent_id"]
    turn.alice.call("PATCH", f"/topics/{turn.topic_id}", {"primary_agent_id": scribe})
    answer = turn.tool()
    assert answer.status_code == 201
    assert turn.message(answer.get_json()["comment_id"])["author"]["id"] == turn.agent_id
    assert turn.alice.task(turn.task_id)["status"] == "delegated"


@pytest.mark.parametrize("shape", [{"text": "x"}, {"permission_request_id": "abcde"}, {"approval_question": " "}])
def test_what_is_not_allowed_stores_nothing(turn: Turn, bob: Person, mallory: Person, shape: dict[str, str]) -> None:
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": "feedback", "user_id": bob.id})
    before = turn.stored
    assert turn.notify(by=mallory, **shape).status_code == 403
    assert turn.notify(by=bob, **shape).status_code == 403
    assert turn.notify(task_id=10**9, **shape).status_code == 403
    assert turn.notify(topic_id=10**9, **shape).status_code == 404
    rows("UPDATE agents SET kind = 'gateway' WHERE id = :id RETURNING id", id=turn.agent_id)
    assert turn.notify(**shape).status_code == 403
    assert turn.stored == before and turn.alice.task(turn.task_id)["status"] == "delegated"


def test_a_turn_that_is_over_asks_nothing_any_more(turn: Turn) -> None:
    turn.alice.call("POST", f"/tasks/{turn.task_id}/cancel")
    before = turn.stored
    assert [turn.tool().status_code, turn.question().status_code] == [403, 403] and turn.stored == before


def test_a_turn_that_ends_between_check_and_lock_asks_nothing(turn: Turn) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        with database.transaction() as session:
            Topic.locked(session, turn.topic_id)
            late = thread.submit(turn.tool)
            until(_somebody_waits, "the prompt to stand at the topic's lock")
            [task] = Task.locked(session, [turn.task_id])
            task.finish(session, TaskStatus.CANCELLED, None, database_time(session), "tests")
        assert late.result(10).status_code == 403
    assert value("SELECT count(*) FROM permission_requests WHERE topic_id = :id", id=turn.topic_id) == 0


def _somebody_waits() -> bool:
    return value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )


def test_a_tools_prompt_is_kept_as_it_came_and_shown_in_words(turn: Turn) -> None:
    comment_id = turn.tool().get_json()["comment_id"]
    found = turn.approval(comment_id)
    assert {name: found[name] for name in ("kind", "request_id", "tool_name", "description", "input", "status")} == {
        "kind": "tool",
        "request_id": "abcde",
        "tool_name": "Bash",
        "description": "List files",
        "input": {"command": "ls"},
        "status": "pending",
    }
    assert (found["agent_id"], found["topic_id"], found["task_id"]) == (turn.agent_id, turn.topic_id, turn.task_id)
    approver = value("SELECT approver_id FROM permission_requests WHERE message_id = :id", id=comment_id)
    said = turn.message(comment_id)
    assert approver == turn.alice.id and said["source"] == "prompt" and said["task_id"] is None
    assert all(word in said["text"] for word in ("Bash", "List files", '"command": "ls"'))


def test_a_prompt_parks_its_task_under_its_id_and_the_task_stays_delegated(turn: Turn) -> None:
    turn.tool()
    parked = value("SELECT pending_tool_call FROM tasks WHERE id = :id", id=turn.task_id)
    assert parked["request_id"] == "abcde" and parked["requested_at"]
    assert turn.alice.task(turn.task_id)["status"] == "delegated"
    [answer] = turn.alice.say(turn.topic_id, "Here is my answer")["tasks"]
    assert answer["status"] == "delegated", "an answer must not queue behind the task that waits for it"


def test_a_prompt_without_a_task_parks_none(turn: Turn) -> None:
    assert turn.approval(turn.tool(task_id=None).get_json()["comment_id"])["task_id"] is None
    assert value("SELECT pending_tool_call FROM tasks WHERE id = :id", id=turn.task_id) is None


def test_the_text_is_in_the_approvers_language(turn: Turn) -> None:
    rows("UPDATE users SET locale = 'ko' WHERE id = :id RETURNING id", id=turn.alice.id)
    assert "권한을 요청합니다" in turn.message(turn.tool().get_json()["comment_id"])["text"]


@pytest.mark.parametrize("arguments", [None, {"a": {"b": [1, None]}}, "{cut", "```\n# x", {}, ""])
def test_arguments_come_back_as_they_were(turn: Turn, arguments: Any) -> None:
    given = {"topic_id": turn.topic_id, "text": "", "permission_request_id": "abcde", "arguments": arguments}
    answer = turn.alice.send("POST", "/agent/notify", given)
    assert answer.status_code == 201
    assert turn.approval(answer.get_json()["comment_id"])["input"] == arguments


@pytest.mark.parametrize(
    "arguments",
    [
        "[1, 2]",
        "17",
        "1e400",
        str(10**300),
        '{"a": 1e400, "b": 18446744073709551616}',
        r'"a\u0000b"',
        r'{"a\u0000": "\ud800"}',
        "[" * 500 + "]" * 500,
        '{"a":' * 300 + "1" + "}" * 300,
    ],
)
def test_odd_arguments_lose_no_prompt(turn: Turn, arguments: str) -> None:
    body = f'{{"topic_id": {turn.topic_id}, "permission_request_id": "abcde", "arguments": {arguments}}}'
    answer = turn.alice.send("POST", "/agent/notify", data=body, content_type="application/json")
    assert answer.status_code == 201, answer.text
    assert isinstance(turn.approval(answer.get_json()["comment_id"])["input"], str | dict)


def test_nothing_in_a_prompt_becomes_markup(turn: Turn) -> None:
    nasty = "x\n```\n# Approved\n<b>now</b> https://evil.example"
    comment_id = turn.tool(tool_name=nasty, description=nasty, arguments=nasty).get_json()["comment_id"]
    question = turn.question(approval_question=nasty).get_json()["comment_id"]
    for id in (comment_id, question):
        html = value("SELECT html FROM messages WHERE id = :id", id=id)
        assert "<a " not in html and "<b>" not in html and 'class="heading"' not in html
    assert turn.message(question)["text"] == nasty


def test_a_question_is_stored_word_by_word(turn: Turn) -> None:
    comment_id = turn.question().get_json()["comment_id"]
    found, said = turn.approval(comment_id), turn.message(comment_id)
    assert (found["kind"], found["question"], found["request_id"]) == ("question", "Ship it?", "approval-1")
    assert (said["text"], said["source"], found["allowed"]) == ("Ship it?", "prompt", ["allow", "deny"])
    assert turn.alice.task(turn.task_id)["status"] == "delegated"


def test_a_question_that_is_repeated_while_open_is_the_same_one(turn: Turn) -> None:
    first = turn.question().get_json()["comment_id"]
    before = turn.stored
    again = turn.question()
    assert (again.status_code, again.get_json()["comment_id"], turn.stored) == (201, first, before)
    assert turn.question("approval-2").get_json()["comment_id"] != first


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"approval_question": ""}, "approval_question"),
        ({"approval_question": "  "}, "approval_question"),
        ({"request_id": ""}, "permission_request_id"),
        ({"request_id": "x" * 256}, "permission_request_id"),
        ({"approver_user_id": 10**9}, "approver_user_id"),
    ],
)
def test_a_question_without_words_id_or_approver_is_refused(turn: Turn, given: dict[str, Any], field: str) -> None:
    before = turn.stored
    refused = turn.question(**given)
    assert refused.status_code == 422 and field in refused.get_json()["error"] and turn.stored == before


def test_a_key_that_asks_with_null_is_a_blank_question(turn: Turn) -> None:
    body = {"topic_id": turn.topic_id, "text": "x", "approval_question": None, "permission_request_id": "a"}
    assert turn.alice.send("POST", "/agent/notify", body).status_code == 422


def test_an_approver_who_may_not_read_the_creative_is_refused(turn: Turn, bob: Person) -> None:
    assert turn.question(approver_user_id=bob.id).status_code == 422
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": "read", "user_id": bob.id})
    answer = turn.question(approver_user_id=bob.id)
    assert answer.status_code == 201
    assert [one["question"] for one in bob.call("GET", "/approvals")["items"]] == ["Ship it?"]


def test_an_agent_is_no_approver(turn: Turn) -> None:
    [[agent_id]] = rows(
        "INSERT INTO agents (id, owner_id, kind, handle, name, identity_key, vendor, model, keep_seconds)"
        " SELECT id + 1000000, owner_id, kind, handle, name, identity_key || '-2', vendor, model, 0 FROM agents"
        " WHERE id = :id RETURNING id",
        id=turn.agent_id,
    )
    assert turn.question(approver_user_id=agent_id).status_code == 422


def test_prompts_are_never_throttled(turn: Turn) -> None:
    assert {turn.tool(f"id{number}").status_code for number in range(60)} == {201}


def test_an_answer_ends_the_prompts_of_its_turn_and_clears_the_parking(turn: Turn) -> None:
    comment_id = turn.tool().get_json()["comment_id"]
    other = turn.tool("other", task_id=None).get_json()["comment_id"]
    assert (
        turn.alice.send(
            "POST", "/agent/reply", {"topic_id": turn.topic_id, "text": "Done.", "task_id": turn.task_id}
        ).status_code
        == 201
    )
    assert turn.approval(comment_id)["status"] == "elsewhere" and turn.approval(other)["status"] == "pending"
    assert value("SELECT pending_tool_call FROM tasks WHERE id = :id", id=turn.task_id) is None


@pytest.mark.parametrize("how", ["cancel", "goodbye"])
def test_a_task_that_is_cancelled_ends_its_prompts(turn: Turn, how: str) -> None:
    comment_id = turn.tool().get_json()["comment_id"]
    if how == "cancel":
        turn.alice.call("POST", f"/tasks/{turn.task_id}/cancel")
    else:
        turn.alice.call("DELETE", f"/agent/{turn.agent_id}?topic_id=1&session_id=laptop")
    assert turn.approval(comment_id)["status"] == "elsewhere"


def test_a_goodbye_ends_what_a_turn_of_its_own_topic_asked(turn: Turn) -> None:
    own = turn.alice.register()["topic_id"]
    local = turn.approval(turn.tool(topic_id=own, task_id=None).get_json()["comment_id"])["id"]
    elsewhere = turn.approval(turn.tool("other", task_id=None).get_json()["comment_id"])["id"]
    turn.alice.call("DELETE", f"/agent/{turn.agent_id}?topic_id={own}")
    statuses = [turn.alice.call("GET", f"/approvals/{id}")["status"] for id in (local, elsewhere)]
    assert statuses == ["elsewhere", "pending"]


def test_the_text_of_the_first_shape_may_hold_anything(turn: Turn) -> None:
    body = json.dumps({"topic_id": turn.topic_id, "text": "a\x00b"})
    answer = turn.alice.send("POST", "/agent/notify", data=body, content_type="application/json")
    assert answer.status_code == 201


def test_a_right_that_ends_ends_asking_too(turn: Turn, join: Join) -> None:
    helper = join("Helper")
    shares = f"/creatives/{turn.creative_id}/shares"
    turn.alice.call("POST", shares, {"level": "feedback", "email": helper.email})
    helpers = helper.register("helper")["agent_id"]
    token = connect(helpers)
    topic_id = turn.alice.topic("Help", creative_id=turn.creative_id, primary_agent_id=helpers)
    [task] = turn.alice.say(topic_id)["tasks"]
    turn.alice.call("DELETE", f"{shares}?user_id={helper.id}")
    assert turn.tool(by=helper, topic_id=topic_id, task_id=task["id"]).status_code == 403
    disconnect(token)


def test_who_reads_the_topic_may_read_the_approval_and_strangers_may_not(
    turn: Turn, bob: Person, mallory: Person
) -> None:
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": "read", "user_id": bob.id})
    id = turn.approval(turn.tool().get_json()["comment_id"])["id"]
    assert bob.call("GET", f"/approvals/{id}")["id"] == id and bob.call("GET", "/approvals")["items"] == []
    assert mallory.send("GET", f"/approvals/{id}").status_code == 404
    by_hand = with_another_token(bob)
    assert by_hand.send("POST", f"/approvals/{id}/decision", {"behavior": "allow"}).status_code == 403
