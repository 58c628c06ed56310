"""The standard Action Cable client against our own /cable: connect, subscribe, receive, drop, resubscribe."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub import RunningHub, person
from tests.journeys.conftest import Alice
from tests.node.client import NodeClient
from webapp.playground.agent import PlaygroundAgent

pytestmark = pytest.mark.node


@pytest.fixture
def node(running: RunningHub, alice: Alice) -> Iterator[NodeClient]:
    """A client that connects as Alice."""
    with NodeClient() as client:
        client.connect(f"ws://127.0.0.1:{running.port}/cable?token={alice.token}", running.url)
        yield client


def page(topic_id: int) -> dict[str, Any]:
    """What an open topic page subscribes to."""
    return {"channel": "Switchyard::PageChannel", "stream": f"topic:{topic_id}"}


def wait_for_text(node: NodeClient, name: str, text: str) -> None:
    """Until a fragment with this text has arrived."""
    times = 1
    while not any(text in str(message.get("html")) for message in node.received(name)):
        node.wait_for("received", name=name, times=times)
        times += 1


def test_an_open_page_hears_question_and_answer(running: RunningHub, alice: Alice, node: NodeClient) -> None:
    scout = PlaygroundAgent(running.url, alice.token, "node", "laptop")
    scout.start()
    topic = alice.topic("Heard", scout.agent_id)
    node.subscribe("page", **page(topic))
    node.wait_for("connected", name="page", reconnected=False)
    alice.post(topic, "what is 6 * 7?")
    wait_for_text(node, "page", "what is 6 * 7?")
    wait_for_text(node, "page", "<strong>42</strong>")
    scout.stop()


def test_a_dropped_client_subscribes_again_and_hears_what_comes_then(alice: Alice, node: NodeClient) -> None:
    topic = alice.topic("Dropped")
    node.subscribe("page", **page(topic))
    node.wait_for("connected", name="page")
    node.drop()
    node.wait_for("disconnected", name="page", willAttemptReconnect=True)
    node.come_to_front()
    node.wait_for("connected", name="page", times=2)
    alice.post(topic, "after the drop")
    wait_for_text(node, "page", "after the drop")
    assert len(node.heard("opened", protocol="actioncable-v1-json")) == 2
    assert len(set(node.sent("subscribe"))) == 1


def test_identifiers_come_back_byte_for_byte(alice: Alice, node: NodeClient) -> None:
    odd = {**page(alice.topic("Odd")), "note": 'é "quoted" / <b> \u2028'}
    node.subscribe("odd", **odd)
    node.wait_for("connected", name="odd")
    [confirmed] = [json.loads(seen["data"]) for seen in node.heard("frame") if "confirm_subscription" in seen["data"]]
    assert confirmed["identifier"] == node.sent("subscribe")[0]


def test_a_page_that_is_left_is_silent(alice: Alice, node: NodeClient) -> None:
    left, kept = alice.topic("Left"), alice.topic("Kept")
    for name, topic in (("left", left), ("kept", kept)):
        node.subscribe(name, **page(topic))
        node.wait_for("connected", name=name)
    node.unsubscribe("left")
    # A confirmed subscription behind it: the hub has taken the leave by then.
    node.subscribe("marker", **page(alice.topic("Marker")))
    node.wait_for("connected", name="marker")
    before = len(node.heard("frame"))
    alice.post(left, "unheard")
    alice.post(kept, "heard")
    wait_for_text(node, "kept", "heard")
    assert not any("unheard" in seen["data"] for seen in node.heard("frame")[before:])


def test_what_is_not_hers_is_rejected_and_the_rest_goes_on(alice: Alice, running: RunningHub, node: NodeClient) -> None:
    _, token = person(f"mallory-{running.port}@example.org", "Mallory")
    status, theirs = running.request("POST", "/api/v1/topics", {"name": "Secret"}, token)
    assert status == 201
    node.subscribe("secret", **page(theirs["id"]))
    node.subscribe("nowhere", channel="Switchyard::NoSuchChannel")
    node.subscribe("page", **page(alice.topic("Mine")))
    node.wait_for("rejected", name="secret")
    node.wait_for("rejected", name="nowhere")
    node.wait_for("connected", name="page")


def test_an_agent_hears_its_dispatch_as_an_object(running: RunningHub, alice: Alice, node: NodeClient) -> None:
    names = {"agent_name": "npm", "session_id": "here", "name": "npm-here"}
    _, agent = running.request("POST", "/api/v1/agent/register", names, alice.token)
    node.subscribe("agent", channel="Collavre::AgentChannel", agent_id=agent["agent_id"], session_id="here")
    node.wait_for("connected", name="agent")
    alice.post(agent["topic_id"], "hello npm")
    dispatch = node.wait_for("received", name="agent")["message"]
    assert dispatch["comment"]["content"] == "hello npm"
    assert dispatch["comment"]["topic_id"] == agent["topic_id"]
    assert dispatch["session_topic"] is True
    assert type(dispatch["task_id"]) is int


def test_a_wrong_token_is_told_to_stay_away(running: RunningHub) -> None:
    with NodeClient() as client:
        client.connect(f"ws://127.0.0.1:{running.port}/cable?token=wrong", running.url)
        client.subscribe("page", **page(1))
        client.wait_for("disconnected", name="page", willAttemptReconnect=False)
        frames = [json.loads(seen["data"]) for seen in client.heard("frame")]
    assert frames == [{"type": "disconnect", "reason": "unauthorized", "reconnect": False}]


@pytest.mark.slow
def test_a_client_comes_back_by_itself_after_a_restart(running: RunningHub, alice: Alice, node: NodeClient) -> None:
    topic = alice.topic("Restarted")
    node.subscribe("page", **page(topic))
    node.wait_for("connected", name="page")
    assert running.stop() == 0
    node.wait_for("disconnected", name="page", willAttemptReconnect=True)
    running.start()
    node.wait_for("connected", name="page", times=2, seconds=60)
    alice.post(topic, "after the restart")
    wait_for_text(node, "page", "after the restart")
