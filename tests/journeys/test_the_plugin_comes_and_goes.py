"""Journey 2: restarts, blips, siblings, goodbyes, and the end of a grace window."""

from collections.abc import Callable

import pytest

from tests.conditions import until
from tests.journeys.conftest import Alice
from webapp.playground.agent import PlaygroundAgent

Start = Callable[..., PlaygroundAgent]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"grace_seconds": "2"}


def given(alice: Alice, agent: PlaygroundAgent, topic_name: str) -> tuple[int, int]:
    """A topic and a task that the agent was sent and has not answered."""
    topic = alice.topic(topic_name, agent.agent_id)
    before = len(agent.dispatches)
    task = alice.post(topic, "work")["tasks"][0]["id"]
    agent.wait_for(lambda: len(agent.dispatches) > before, what="a dispatch")
    until(lambda: any(event["event"] == "sent" for event in alice.task(task)["timeline"]), "the stamp")
    return topic, task


def test_a_restarted_plugin_gets_its_open_task_again_once_under_the_same_generation(
    alice: Alice, agent_of: Start
) -> None:
    scout = agent_of("restarted", automatic=False)
    topic, task = given(alice, scout, "Restarted")
    scout.vanish()
    again = agent_of("restarted", automatic=False)
    again.wait_for(lambda: again.dispatches, what="the dispatch again")
    assert [(d.task_id, d.generation) for d in again.dispatches] == [(task, scout.dispatches[0].generation)]
    assert again.reply(task, again.dispatches[0].generation or "", "done", topic).status == 201
    # A marker behind it on the same stream: nothing else came before.
    alice.post(topic, "marker")
    again.wait_for(lambda: len(again.dispatches) == 2, what="the marker")
    assert again.dispatches[1].content == "marker"


def test_a_cut_socket_that_comes_back_without_registering_gets_no_second_dispatch(
    alice: Alice, agent_of: Start
) -> None:
    scout = agent_of("blip", automatic=False)
    topic, task = given(alice, scout, "Blip")
    scout.cut()
    scout.come_back(register=False)
    assert scout.reply(task, scout.dispatches[0].generation or "", "done", topic).status == 201
    alice.post(topic, "marker")
    scout.wait_for(lambda: len(scout.dispatches) == 2, what="the marker")
    assert scout.dispatches[1].content == "marker"


def test_a_task_whose_session_is_gone_for_good_goes_to_a_live_sibling_under_a_new_generation(
    alice: Alice, agent_of: Start
) -> None:
    laptop = agent_of("sibling", "laptop", automatic=False)
    topic, task = given(alice, laptop, "Sibling")
    desk = agent_of("sibling", "desk", automatic=False)
    laptop.cut()
    desk.wait_for(lambda: desk.dispatches, what="the task of the lost session", seconds=20)
    assert desk.dispatches[0].task_id == task and desk.dispatches[0].generation != laptop.dispatches[0].generation
    late = laptop.reply(task, laptop.dispatches[0].generation or "", "late", topic)
    assert late.status == 409
    assert desk.reply(task, desk.dispatches[0].generation or "", "done", topic).status == 201
    assert alice.texts(topic) == ["work", "done"]


def test_a_goodbye_hands_shared_work_to_a_live_sibling_at_once(alice: Alice, agent_of: Start) -> None:
    laptop = agent_of("polite", "laptop", automatic=False)
    _, task = given(alice, laptop, "Polite")
    desk = agent_of("polite", "desk", automatic=False)
    laptop.stop()
    desk.wait_for(lambda: desk.dispatches, what="the task of the session that left")
    assert desk.dispatches[0].task_id == task


def test_when_nobody_comes_back_the_task_is_cancelled_and_the_queue_waits(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("gone", automatic=False)
    topic, task = given(alice, scout, "Gone")
    waiting = alice.post(topic, "later")["tasks"][0]["id"]
    scout.vanish()
    cancelled = alice.wait_status(task, "cancelled", 20)
    assert "did not come back" in cancelled["why"]
    until(lambda: alice.task(waiting)["why"] == "gone is not connected.", "the queued task to say for whom it waits")
    back = agent_of("gone", automatic=False)
    back.wait_for(lambda: back.dispatches, what="the queued task")
    assert [d.task_id for d in back.dispatches] == [waiting]


def test_registering_never_makes_an_agent_routable(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("there")
    assert alice.call("GET", f"/agents/{scout.agent_id}")["routable"] is True
    scout.stop()
    away = alice.call("GET", f"/agents/{scout.agent_id}")
    assert away["routable"] is False and away["why_not"]
    scout.register()
    assert alice.call("GET", f"/agents/{scout.agent_id}")["routable"] is False


def test_the_agents_object_shows_the_grace_window(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("window")
    scout.cut()
    until(lambda: alice.call("GET", f"/agents/{scout.agent_id}")["sessions"][0]["state"] == "dropped", "the drop")
    [session] = alice.call("GET", f"/agents/{scout.agent_id}")["sessions"]
    assert session["dropped_at"] and session["grace_ends_at"] > session["dropped_at"]
