"""What is killed comes back: the hub in mid-conversation, and nothing is lost or doubled."""

from collections.abc import Callable, Iterator

import pytest

from tests.conditions import until
from tests.hub import RunningHub, person, wait_ready
from tests.journeys.conftest import Alice
from webapp.playground.agent import PlaygroundAgent

Start = Callable[..., PlaygroundAgent]


@pytest.fixture
def hub(database_url: str) -> Iterator[RunningHub]:
    """A hub that is killed: one for each test."""
    with RunningHub(database_url) as running:
        wait_ready(running)
        yield running


@pytest.fixture
def alice(hub: RunningHub) -> Alice:
    id, token = person(f"alice-{hub.port}@example.org", "Alice")
    return Alice(hub, id, token, "alice@example.org")


def test_a_hub_killed_in_mid_conversation_loses_and_doubles_nothing(
    hub: RunningHub, alice: Alice, agent_of: Start
) -> None:
    scout = agent_of("scout", automatic=False)
    topic = alice.topic("Killed", scout.agent_id)
    first = alice.post(topic, "before")["tasks"][0]["id"]
    scout.wait_for(lambda: scout.dispatches, what="the dispatch")
    until(lambda: any(event["event"] == "sent" for event in alice.task(first)["timeline"]), "the stamp")
    waiting = alice.post(topic, "waiting")["tasks"][0]["id"]
    hub.kill()
    hub.start()
    wait_ready(hub)
    scout.wait_for(lambda: scout.subscribed, seconds=30, what="the plugin to be back")
    assert alice.texts(topic) == ["before", "waiting"]
    assert len(scout.dispatches) == 1, "the plugin still has it: a second dispatch would double the work"
    assert scout.reply(first, scout.dispatches[0].generation or "", "answered", topic).status == 201
    scout.wait_for(lambda: len(scout.dispatches) == 2, what="the waiting task")
    assert scout.reply(waiting, scout.dispatches[1].generation or "", "answered too", topic).status == 201
    assert alice.texts(topic) == ["before", "waiting", "answered", "answered too"]


def test_an_agent_answers_by_itself_after_the_hub_was_killed(hub: RunningHub, alice: Alice, agent_of: Start) -> None:
    scout = agent_of("steady")
    topic = alice.topic("Steady", scout.agent_id)
    alice.wait_status(alice.post(topic, "one")["tasks"][0]["id"], "done")
    hub.kill()
    hub.start()
    wait_ready(hub)
    alice.wait_status(alice.post(topic, "two")["tasks"][0]["id"], "done", 40)
    assert len(alice.texts(topic)) == 4


def test_a_planned_stop_sends_clients_round_and_ends_with_code_0(
    hub: RunningHub, alice: Alice, agent_of: Start
) -> None:
    scout = agent_of("moved")
    assert hub.stop() == 0
    scout.wait_for(lambda: not scout.subscribed, what="the goodbye")
    hub.start()
    scout.wait_for(lambda: scout.subscribed, seconds=30, what="the plugin to be back")
