"""Quota suspension: section 7.3 of the agent channel."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from jobs.resume_suspended import resume_suspended
from models import database
from models.base import database_time
from tests.webapp.api.conftest import Person, connect, generation_of, rows, value


class Turn(NamedTuple):
    """Scout works on a task of Alice's."""

    alice: Person
    agent_id: int
    creative_id: int
    topic_id: int
    task_id: int
    generation: str

    def suspend(self, by: Person | None = None, task_id: int | None = None, **given: Any) -> Any:
        body = {"reason": "quota", "execution_generation": self.generation, **given}
        path = f"/agent/tasks/{task_id or self.task_id}/suspend"
        return (by or self.alice).send("POST", path, {name: one for name, one in body.items() if one is not None})

    def current(self, generation: str | None = None) -> Any:
        asked = f"?execution_generation={generation or self.generation}"
        return self.alice.call("GET", f"/agent/tasks/{self.task_id}/quota_status{asked}")

    @property
    def status(self) -> str:
        return self.alice.task(self.task_id)["status"]

    @property
    def retries(self) -> int:
        return value("SELECT quota_retries FROM agents WHERE id = :id", id=self.agent_id)


@pytest.fixture
def turn(alice: Person) -> Turn:
    agent_id = alice.register()["agent_id"]
    connect(agent_id)
    creative_id = alice.creative()
    topic_id = alice.topic(creative_id=creative_id, primary_agent_id=agent_id)
    task_id = alice.say(topic_id)["tasks"][0]["id"]
    return Turn(alice, agent_id, creative_id, topic_id, task_id, generation_of(task_id))


def now() -> datetime:
    with database.transaction() as session:
        return database_time(session)


def minutes(answer: Any) -> float:
    until = datetime.fromisoformat(answer.get_json()["resume_not_before"])
    return round((until - now()).total_seconds() / 60, 1)


def test_the_owner_suspends_the_current_attempt_and_a_repeat_changes_nothing(turn: Turn) -> None:
    first = turn.suspend(retry_after="600")
    assert (first.status_code, first.get_json()["status"], turn.status) == (200, "suspended", "suspended")
    assert minutes(first) == 10 and first.get_json()["resume_not_before"].endswith("Z")
    again = turn.suspend(retry_after="9000")
    assert (again.status_code, again.get_json(), turn.retries) == (200, first.get_json(), 1)
    assert turn.alice.task(turn.task_id)["until"] == first.get_json()["resume_not_before"]


def test_suspension_frees_the_agents_place_and_the_topic(turn: Turn) -> None:
    turn.alice.call("PATCH", f"/agents/{turn.agent_id}", {"max_tasks": 1})
    elsewhere = turn.alice.topic("Elsewhere", primary_agent_id=turn.agent_id)
    waiting = turn.alice.say(elsewhere)["tasks"][0]
    assert waiting["status"] == "queued"
    turn.suspend(retry_after="600")
    assert turn.alice.task(waiting["id"])["status"] == "delegated"


def test_without_a_time_each_rest_in_a_row_is_longer_up_to_an_hour(turn: Turn) -> None:
    assert minutes(turn.suspend()) == 1
    for retries, expected in ((1, 2), (3, 8), (9, 60), (60, 60)):
        rows("UPDATE tasks SET status = 'delegated' WHERE id = :id RETURNING id", id=turn.task_id)
        rows("UPDATE agents SET quota_retries = :n WHERE id = :id RETURNING id", n=retries, id=turn.agent_id)
        assert minutes(turn.suspend()) == expected


@pytest.mark.parametrize("retry_after", ["soon", "-5", "nan", "inf", "1e400", ""])
def test_a_time_that_is_none_is_chosen_by_the_hub(turn: Turn, retry_after: str) -> None:
    assert minutes(turn.suspend(retry_after=retry_after)) == 1


def test_an_answer_resets_the_back_off(turn: Turn) -> None:
    rows("UPDATE agents SET quota_retries = 3 WHERE id = :id RETURNING id", id=turn.agent_id)
    body = {"topic_id": turn.topic_id, "text": "Done.", "task_id": turn.task_id}
    turn.alice.call("POST", "/agent/reply", body)
    assert turn.retries == 0


@pytest.mark.parametrize("generation", [None, "", "of-yesterday"])
def test_a_missing_or_old_generation_changes_nothing(turn: Turn, generation: str | None) -> None:
    refused = turn.suspend(execution_generation=generation)
    assert (refused.status_code, turn.status, turn.retries) == (409, "delegated", 0)


def test_somebody_elses_agent_is_not_found(turn: Turn, bob: Person) -> None:
    turn.alice.call("POST", f"/creatives/{turn.creative_id}/shares", {"level": "feedback", "user_id": bob.id})
    assert (turn.suspend(by=bob).status_code, turn.status) == (404, "delegated")
    rows("UPDATE agents SET kind = 'gateway' WHERE id = :id RETURNING id", id=turn.agent_id)
    assert (turn.suspend().status_code, turn.status) == (404, "delegated")


def test_an_unknown_task_is_not_found_whatever_the_reason(turn: Turn) -> None:
    assert turn.suspend(task_id=10**9, reason="rest").status_code == 404


def test_another_reason_is_invalid(turn: Turn, bob: Person) -> None:
    for reason in ("rest", "", None):
        assert (turn.suspend(reason=reason).status_code, turn.status) == (422, "delegated")
    assert turn.suspend(by=bob, reason="rest").status_code == 422, "the reason is looked at before the owner"


def test_a_finished_task_rests_no_more(turn: Turn) -> None:
    turn.alice.call("POST", "/agent/reply", {"topic_id": turn.topic_id, "text": "Done.", "task_id": turn.task_id})
    assert (turn.suspend().status_code, turn.status) == (409, "done")


def test_suspending_needs_a_token(turn: Turn) -> None:
    path = f"/api/v1/agent/tasks/{turn.task_id}/suspend"
    assert turn.alice.client.post(path, json={"reason": "quota"}).status_code == 401


def test_owning_the_agent_is_not_enough_without_feedback_on_the_creative(turn: Turn, bob: Person) -> None:
    shares = f"/creatives/{turn.creative_id}/shares"
    turn.alice.call("POST", shares, {"level": "feedback", "user_id": bob.id})
    bobs = bob.register("helper")["agent_id"]
    connect(bobs)
    topic_id = turn.alice.topic("Help", creative_id=turn.creative_id, primary_agent_id=bobs)
    [task] = turn.alice.say(topic_id)["tasks"]
    turn.alice.call("POST", shares, {"level": "read", "user_id": bob.id})
    attempt = generation_of(task["id"])
    assert turn.suspend(by=bob, task_id=task["id"], execution_generation=attempt).status_code == 404
    found = turn.alice.task(task["id"])
    assert (found["status"], found["until"]) == ("cancelled", None)  # by who took the right back, not put aside


def test_a_task_goes_on_under_a_new_generation_when_its_time_has_come(turn: Turn) -> None:
    turn.suspend(retry_after="20")
    resume_suspended(now() + timedelta(seconds=19))
    assert turn.status == "suspended"
    assert resume_suspended(now() + timedelta(seconds=21)) >= 1
    task = turn.alice.task(turn.task_id)
    assert (task["status"], task["until"], task["why"]) == ("delegated", None, None)
    assert generation_of(turn.task_id) not in (None, turn.generation)
    assert [event["event"] for event in task["timeline"]][-3:] == ["suspended", "queued", "delegated"]


def test_a_retired_attempt_cannot_suspend_the_next_one(turn: Turn) -> None:
    turn.suspend(retry_after="1")
    resume_suspended(now() + timedelta(seconds=2))
    assert (turn.suspend().status_code, turn.status) == (409, "delegated")


def test_a_rest_ends_the_prompts_of_its_attempt(turn: Turn) -> None:
    body = {"topic_id": turn.topic_id, "task_id": turn.task_id, "permission_request_id": "abcde"}
    turn.alice.call("POST", "/agent/notify", body)
    turn.suspend()
    assert value("SELECT status FROM permission_requests WHERE task_id = :id", id=turn.task_id) == "elsewhere"
    assert value("SELECT pending_tool_call FROM tasks WHERE id = :id", id=turn.task_id) is None


def test_the_status_says_whether_an_attempt_is_current(turn: Turn, bob: Person) -> None:
    assert turn.current() == {"current": True}
    assert turn.current("of-yesterday") == {"current": False}
    assert turn.alice.call("GET", f"/agent/tasks/{turn.task_id}/quota_status") == {"current": False}
    turn.suspend()
    assert turn.current() == {"current": False}
    assert bob.send("GET", f"/agent/tasks/{turn.task_id}/quota_status").status_code == 404
    assert turn.alice.send("GET", "/agent/tasks/1000000000/quota_status").status_code == 404
