"""Journey 2, to its end: what is kept for an agent that stays away goes on; what was cancelled is told; who thinks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from models import database
from models.access_token import AccessToken
from models.base import database_time
from models.user import User
from tests.cable import Cable, channel
from tests.conditions import until
from tests.hub import RunningHub, wait_ready
from tests.journeys.conftest import Alice
from webapp.playground.agent import PlaygroundAgent

Start = Callable[..., PlaygroundAgent]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"grace_seconds": "2"}


@pytest.fixture(scope="module")
def hand(alice: Alice) -> Alice:
    """Alice, with a token that no plugin uses."""
    with database.transaction() as session:
        _, token = AccessToken.create(session, session.get_one(User, alice.id), "by hand", database_time(session))
    return replace(alice, token=token)


def given(alice: Alice, agent: PlaygroundAgent, topic_name: str, words: str = "work") -> tuple[int, int]:
    """A topic and a task that the agent was sent and has not answered."""
    topic = alice.topic(topic_name, agent.agent_id)
    before = len(agent.dispatches)
    task = alice.post(topic, words)["tasks"][0]["id"]
    agent.wait_for(lambda: len(agent.dispatches) > before, what="a dispatch")
    return topic, task


def keep(alice: Alice, agent: PlaygroundAgent, seconds: int) -> None:
    alice.call("PATCH", f"/agents/{agent.agent_id}", {"keep_seconds": seconds})


def test_kept_work_is_suspended_and_goes_on_under_a_new_generation_with_a_note(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("keeper", automatic=False)
    keep(alice, scout, 3600)
    topic, task = given(alice, scout, "Kept")
    scout.cut()
    kept = alice.wait_status(task, "suspended", 20)
    assert kept["until"] and "kept until" in kept["why"]
    back = agent_of("keeper", automatic=False)
    back.wait_for(lambda: back.dispatches, what="the task again")
    [again] = back.dispatches
    assert again.task_id == task and again.generation != scout.dispatches[0].generation
    assert (again.content or "").startswith("[Switchyard: your connection was lost") and "work" in (again.content or "")
    assert back.reply(task, scout.dispatches[0].generation or "", "late", topic).status == 409
    assert back.reply(task, again.generation or "", "done", topic).status == 201
    assert [words for words in alice.texts(topic) if "not connected" not in words] == ["work", "done"]


@pytest.mark.parametrize("keep_seconds", [0, 3600])
@pytest.mark.parametrize("restart", [False, True])
def test_a_decision_made_long_after_the_plugin_dropped_is_told_on_its_return(
    hub: RunningHub, alice: Alice, hand: Alice, agent_of: Start, keep_seconds: int, restart: bool
) -> None:
    """A laptop that was closed in the middle of a question: its tool still waits when the lid opens."""
    scout = agent_of(f"lid-{keep_seconds}-{restart}", automatic=False)
    keep(alice, scout, keep_seconds)
    topic, task = given(alice, scout, f"Lid {keep_seconds} {restart}")
    asked = {"topic_id": topic, "text": "", "task_id": task, "permission_request_id": "abcde", "tool_name": "Bash"}
    assert scout.hub.call("POST", "/api/v1/agent/notify", asked).status == 201
    scout.hearing.open_prompts.append("abcde")
    scout.cut()
    alice.wait_status(task, "suspended" if keep_seconds else "cancelled", 30)
    newest = hand.call("GET", "/approvals?status=pending&limit=1")["items"][0]
    assert newest["agent_id"] == scout.agent_id
    hand.call("POST", f"/approvals/{newest['id']}/decision", {"behavior": "allow"})
    if restart:
        hub.kill()
        hub.start()
        wait_ready(hub)
    scout.come_back()
    scout.wait_for(lambda: scout.hearing.decisions, 30, "the decision")
    told = {"type": "permission_decision", "request_id": "abcde", "behavior": "allow", "agent_id": scout.agent_id}
    assert scout.hearing.decisions == [told]


def test_what_is_kept_too_long_is_cancelled_by_itself(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("forgotten", automatic=False)
    keep(alice, scout, 1)
    _, task = given(alice, scout, "Forgotten")
    scout.vanish()
    assert "while this was kept" in alice.wait_status(task, "cancelled", 30)["why"]


def test_the_topic_says_that_its_agent_dropped_and_on_return_what_was_cancelled(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("returner", automatic=False)
    topic, task = given(alice, scout, "Returner", "Build it")
    scout.vanish()
    until(lambda: any("is not connected" in words for words in alice.texts(topic)), "the notice of the drop", 15)
    alice.wait_status(task, "cancelled", 20)
    agent_of("returner", automatic=False)
    until(lambda: any("is back" in words for words in alice.texts(topic)), "the notice of the return", 15)
    said = alice.texts(topic)[1:]
    assert len(said) == 2 and "Cancelled while it was away: `Build it`" in said[1]


def test_an_agent_named_in_an_answer_answers_in_its_turn(alice: Alice, agent_of: Start) -> None:
    scout, scribe = agent_of("caller", automatic=False), agent_of("called", automatic=False)
    topic, task = given(alice, scout, "Called")
    assert scout.reply(task, scout.dispatches[0].generation or "", "@called finish it", topic).status == 201
    scribe.wait_for(lambda: scribe.dispatches, what="the hand-over")
    [handed] = scribe.dispatches
    assert handed.content == "@called finish it" and "caller" in handed.author
    assert scribe.reply(handed.task_id or 0, handed.generation or "", "finished", topic).status == 201


def statuses(cable: Cable, until_status: str, task: int) -> list[str]:
    """What is said of this task, up to a status."""
    found: list[str] = []
    while not found or found[-1] != until_status:
        said: dict[str, Any] = cable.frame(12).get("message") or {}
        if "agent_status" in said and said["agent_status"]["task_id"] == task:
            found.append(said["agent_status"]["status"])
    return found


@pytest.mark.parametrize("follow", ["listener", "page"])
def test_followers_of_a_topic_hear_who_thinks_every_few_seconds_and_idle_at_once(
    alice: Alice, agent_of: Start, follow: str
) -> None:
    scout = agent_of("thinker", automatic=False)
    topic, task = given(alice, scout, f"Thinks {follow}")
    params = {"listener": channel(topic_id=topic), "page": {"channel": "Switchyard::PageChannel"}}[follow]
    with Cable(alice.hub.port, alice.token) as cable:
        assert (
            cable.subscribe(**params, **({"stream": f"topic:{topic}"} if follow == "page" else {}))
            == "confirm_subscription"
        )
        assert statuses(cable, "thinking", task)[-1] == "thinking"
        scout.reply(task, scout.dispatches[-1].generation or "", "done", topic)
        assert statuses(cable, "idle", task)[-1] == "idle"
