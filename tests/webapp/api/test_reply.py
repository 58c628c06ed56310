"""`POST /api/v1/agent/reply`: section 5 of the agent channel."""

import concurrent.futures
from typing import Any, NamedTuple

import psycopg
import pytest
from sqlalchemy.engine import make_url

from models import database
from models.base import database_time
from models.broadcast import CHANNEL, Broadcast
from models.task import Task, TaskStatus
from models.topic import Topic
from tests.conditions import until
from tests.webapp.api.conftest import Join, Person, connect, generation_of, rows, value


class Work(NamedTuple):
    """Scout works for Alice in a topic of a creative, and has a task there."""

    alice: Person
    agent_id: int
    creative_id: int
    topic_id: int
    task_id: int
    generation: str

    def reply(self, by: Person | None = None, **given: Any) -> Any:
        """The answer to a reply; what is not given is that of the dispatch, None leaves it out."""
        body = {
            "topic_id": self.topic_id,
            "text": "Done.",
            "task_id": self.task_id,
            "execution_generation": self.generation,
            "pending_approval_ids": [],
            **given,
        }
        sent = {name: value for name, value in body.items() if value is not None}
        return (by or self.alice).send("POST", "/agent/reply", sent)

    @property
    def status(self) -> str:
        return self.alice.task(self.task_id)["status"]

    @property
    def texts(self) -> list[str]:
        return self.alice.texts(self.topic_id)


@pytest.fixture
def work(alice: Person) -> Work:
    agent_id = alice.register()["agent_id"]
    connect(agent_id)
    creative_id = alice.creative()
    topic_id = alice.topic(creative_id=creative_id, primary_agent_id=agent_id)
    task_id = alice.say(topic_id)["tasks"][0]["id"]
    return Work(alice, agent_id, creative_id, topic_id, task_id, generation_of(task_id))


def test_an_answer_is_posted_as_the_agent_and_gives_nobody_work(work: Work) -> None:
    answer = work.reply(text="All green.")
    assert answer.status_code == 201
    comment_id = answer.get_json()["comment_id"]
    assert answer.get_json() == {"comment_id": comment_id, "pending_approval_ids": []}
    [_, said] = work.alice.call("GET", f"/topics/{work.topic_id}/messages")["items"]
    assert (said["id"], said["text"], said["source"]) == (comment_id, "All green.", "reply")
    assert said["author"] == {"kind": "agent", "id": work.agent_id, "name": "Claude Channel (scout)"}
    assert value("SELECT count(*) FROM tasks WHERE topic_id = :id", id=work.topic_id) == 1


def test_task_and_answer_know_each_other(work: Work) -> None:
    comment_id = work.reply().get_json()["comment_id"]
    task = work.alice.task(work.task_id)
    assert (task["status"], task["reply_message_id"]) == ("done", comment_id) and task["finished_at"]
    [_, said] = work.alice.call("GET", f"/topics/{work.topic_id}/messages")["items"]
    assert said["task_id"] == work.task_id


def test_ids_may_come_as_digits(work: Work) -> None:
    assert work.reply(topic_id=str(work.topic_id), task_id=f" {work.task_id} ").status_code == 201


def test_a_reply_needs_a_token(work: Work) -> None:
    assert work.alice.client.post("/api/v1/agent/reply", json={}).status_code == 401


def test_a_topic_that_is_missing_is_not_found(work: Work) -> None:
    for topic_id in (10**9, 2**53, 10**30, 0, -1):
        refused = work.reply(topic_id=topic_id)
        assert (refused.status_code, refused.get_json()["code"]) == (404, "not_found")
    assert work.status == "delegated"


def test_somebody_without_feedback_is_forbidden(work: Work, bob: Person) -> None:
    work.alice.call("POST", f"/creatives/{work.creative_id}/shares", {"level": "read", "user_id": bob.id})
    refused = work.reply(by=bob)
    assert refused.status_code == 403 and "feedback" in refused.get_json()["error"]
    assert (work.status, work.texts) == ("delegated", ["Build it"])


def test_another_persons_token_is_forbidden(work: Work, mallory: Person) -> None:
    assert work.reply(by=mallory).status_code == 403
    assert (work.status, work.texts) == ("delegated", ["Build it"])


def test_a_viewer_is_forbidden(work: Work) -> None:
    rows("UPDATE users SET role = 'viewer' WHERE id = :id RETURNING id", id=work.alice.id)
    assert work.reply().status_code == 403
    rows("UPDATE users SET role = 'member' WHERE id = :id RETURNING id", id=work.alice.id)
    assert (work.status, work.texts) == ("delegated", ["Build it"])


@pytest.mark.parametrize("task_id", [10**9, 2**53, 10**30, 0, -3])
def test_an_unknown_task_falls_back_to_nothing(work: Work, task_id: int) -> None:
    refused = work.reply(task_id=task_id)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "forbidden")
    assert (work.status, work.texts) == ("delegated", ["Build it"])


def test_a_task_of_another_topic_is_forbidden(work: Work) -> None:
    elsewhere = work.alice.topic("Elsewhere", primary_agent_id=work.agent_id)
    assert work.reply(topic_id=elsewhere).status_code == 403
    assert work.status == "delegated" and work.alice.texts(elsewhere) == []


def test_the_task_of_somebody_elses_agent_is_forbidden(work: Work, bob: Person) -> None:
    work.alice.call("POST", f"/creatives/{work.creative_id}/shares", {"level": "feedback", "user_id": bob.id})
    assert work.reply(by=bob).status_code == 403
    assert (work.status, work.texts) == ("delegated", ["Build it"])


def test_an_agent_behind_a_gateway_does_not_answer_here(work: Work) -> None:
    rows("UPDATE agents SET kind = 'gateway' WHERE id = :id RETURNING id", id=work.agent_id)
    assert work.reply().status_code == 403
    assert (work.status, work.texts) == ("delegated", ["Build it"])


def test_a_task_in_a_topic_of_another_primary_agent_is_answered_by_its_own(work: Work) -> None:
    scribe = work.alice.register("scribe")
    topic_id = work.alice.topic("Work", creative_id=work.creative_id, primary_agent_id=scribe["agent_id"])
    [task] = work.alice.say(topic_id, "@scout build it")["tasks"]
    answer = work.reply(topic_id=topic_id, task_id=task["id"], execution_generation=generation_of(task["id"]))
    assert answer.status_code == 201
    said = work.alice.call("GET", f"/topics/{topic_id}/messages")["items"][-1]
    assert said["author"]["id"] == work.agent_id


def test_without_a_task_id_the_oldest_task_is_answered(work: Work) -> None:
    said = work.reply(task_id=None, execution_generation=None)
    assert said.status_code == 201 and work.status == "done"
    assert work.alice.task(work.task_id)["reply_message_id"] == said.get_json()["comment_id"]


def test_without_a_task_id_and_without_work_it_is_posted_all_the_same(work: Work) -> None:
    work.reply()
    assert work.reply(task_id=None, execution_generation=None, text="By the way").status_code == 201
    assert work.texts == ["Build it", "Done.", "By the way"]
    assert work.alice.call("GET", f"/topics/{work.topic_id}/messages")["items"][-1]["task_id"] is None


def test_with_a_task_id_an_older_task_stays_delegated(work: Work) -> None:
    scribe = work.alice.register("scribe")["agent_id"]
    connect(scribe)
    rows("UPDATE tasks SET pending_tool_call = '{}' WHERE id = :id RETURNING id", id=work.task_id)
    [younger] = work.alice.say(work.topic_id, "@scribe and you?")["tasks"]
    answer = work.reply(task_id=younger["id"], execution_generation=generation_of(younger["id"]))
    assert answer.status_code == 201
    assert (work.status, work.alice.task(younger["id"])["status"]) == ("delegated", "done")


def test_without_a_task_id_a_topic_of_no_plugin_agent_is_forbidden(work: Work) -> None:
    topic_id = work.alice.topic("Nobody's", creative_id=work.creative_id)
    refused = work.reply(topic_id=topic_id, task_id=None, execution_generation=None)
    assert refused.status_code == 403 and work.alice.texts(topic_id) == []


def test_an_earlier_generation_loses(work: Work) -> None:
    refused = work.reply(execution_generation="of-yesterday")
    assert refused.status_code == 409
    assert refused.get_json() == {
        "error": refused.get_json()["error"],
        "code": "lost_race",
        "reason": "not_delegated",
    }
    assert (work.status, work.texts) == ("delegated", ["Build it"])


@pytest.mark.parametrize("generation", ["", "\u00e9", "x" * 5000])
def test_a_generation_that_is_none_loses(work: Work, generation: str) -> None:
    assert work.reply(execution_generation=generation).status_code == 409


def test_a_second_answer_to_a_finished_task_is_refused(work: Work) -> None:
    assert [work.reply(text=text).status_code for text in ("first", "second")] == [201, 403]
    assert work.texts == ["Build it", "first"]


@pytest.mark.parametrize(
    ("status", "reply_message_id", "reason"),
    [
        (TaskStatus.CANCELLED, None, "not_delegated"),
        (TaskStatus.DONE, None, "claimed_without_reply"),
        (TaskStatus.DONE, 7, "already_completed"),
    ],
)
def test_a_task_that_ends_between_check_and_claim_loses_the_race(
    work: Work, status: TaskStatus, reply_message_id: int | None, reason: str
) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        with database.transaction() as session:
            Topic.locked(session, work.topic_id)
            late = thread.submit(work.reply)
            until(_somebody_waits, "the reply to stand at the topic's lock")
            [task] = Task.locked(session, [work.task_id])
            task.finish(session, status, None, database_time(session), "tests")
            task.reply_message_id = reply_message_id
        refused = late.result(10)
    assert refused.status_code == 409
    assert (refused.get_json()["code"], refused.get_json()["reason"]) == ("lost_race", reason)
    assert work.texts == ["Build it"]


def _somebody_waits() -> bool:
    return value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )


def test_a_blank_text_is_refused_and_the_task_can_still_be_answered(work: Work) -> None:
    for text in ("", " \n ", None):
        refused = work.reply(text=text)
        assert refused.status_code == 422 and isinstance(refused.get_json()["errors"][0], str)
        assert "text" in refused.get_json()["error"]
    assert work.status == "delegated"
    assert work.reply().status_code == 201


def test_a_text_that_is_too_long_is_refused_in_words(work: Work) -> None:
    refused = work.reply(text="a" * 200_001)
    assert refused.status_code == 422 and "200,000" in refused.get_json()["errors"][0]


def test_half_a_letter_and_a_zero_byte_do_not_lose_an_answer(work: Work) -> None:
    text = r"cut \ud83d here\u0000, \\ud800 \ud83d\ude00"
    body = f'{{"topic_id": {work.topic_id}, "task_id": {work.task_id}, "text": "{text}"}}'
    assert work.alice.send("POST", "/agent/reply", data=body, content_type="application/json").status_code == 201
    assert work.texts[-1] == "cut \ufffd here\ufffd, \\ud800 \U0001f600"


def test_an_answer_clears_the_parked_prompt(work: Work) -> None:
    rows(
        'UPDATE tasks SET pending_tool_call = \'{"request_id": "abcde"}\' WHERE id = :id RETURNING id', id=work.task_id
    )
    assert work.reply().status_code == 201
    assert value("SELECT pending_tool_call FROM tasks WHERE id = :id", id=work.task_id) is None


def test_an_answer_lets_the_next_task_of_the_topic_go(work: Work) -> None:
    waiting = work.alice.say(work.topic_id, "And test it")["tasks"][0]
    assert waiting["status"] == "queued"
    work.reply()
    assert work.alice.task(waiting["id"])["status"] == "delegated"


def test_an_answer_frees_the_agents_place(work: Work) -> None:
    work.alice.call("PATCH", f"/agents/{work.agent_id}", {"max_tasks": 1})
    elsewhere = work.alice.topic("Elsewhere", primary_agent_id=work.agent_id)
    waiting = work.alice.say(elsewhere)["tasks"][0]
    assert waiting["status"] == "queued"
    work.reply()
    assert work.alice.task(waiting["id"])["status"] == "delegated"


def test_an_answer_leaves_a_claimed_task_of_the_topic_alone(work: Work) -> None:
    other = work.alice.say(work.topic_id, "@scout again")["tasks"][0]["id"]
    rows("UPDATE tasks SET status = 'claimed' WHERE id = :id RETURNING id", id=other)
    work.reply()
    assert work.alice.task(other)["status"] == "claimed"


def test_the_topic_hears_of_answer_and_task(work: Work, database_url: str) -> None:
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        comment_id = work.reply().get_json()["comment_id"]
        heard = {
            (nudge.event, nudge.ids.get("task") or nudge.ids.get("message"))
            for nudge in (Broadcast.parse(found.payload) for found in listener.notifies(timeout=5, stop_after=4))
            if nudge.stream == f"topic:{work.topic_id}"
        }
    assert heard >= {("message", comment_id), ("task", work.task_id)}


def test_open_approvals_of_no_task_here_stay_with_the_plugin(work: Work) -> None:
    answer = work.reply(pending_approval_ids=["approval-1"])
    assert answer.get_json()["pending_approval_ids"] == []


def test_a_right_that_ends_ends_answering_too(work: Work, join: Join) -> None:
    helper = join("Helper")
    shares = f"/creatives/{work.creative_id}/shares"
    work.alice.call("POST", shares, {"level": "feedback", "email": helper.email})
    helpers = helper.register("helper")["agent_id"]
    connect(helpers)
    [task] = work.alice.say(work.alice.topic("Help", creative_id=work.creative_id, primary_agent_id=helpers))["tasks"]
    topic_id = work.alice.task(task["id"])["topic_id"]
    work.alice.call("DELETE", f"{shares}?user_id={helper.id}")
    assert work.reply(by=helper, topic_id=topic_id, task_id=task["id"]).status_code == 403
    work.alice.call("POST", shares, {"level": "feedback", "email": helper.email})
    work.alice.call("POST", f"/tasks/{task['id']}/retry")
    given = {"topic_id": topic_id, "task_id": task["id"], "execution_generation": generation_of(task["id"])}
    assert work.reply(by=helper, **given).status_code == 201
