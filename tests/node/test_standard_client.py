"""The commanded Node client does what its driver says, seen against a scripted hub."""

import json
from collections.abc import Iterator

import pytest

from tests.node.client import NodeClient
from tests.webapp.playground.scripted_hub import ScriptedHub

pytestmark = pytest.mark.node
PAGE = {"channel": "Switchyard::PageChannel", "stream": "topic:5"}


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    """A hub that behaves."""
    scripted = ScriptedHub()
    yield scripted
    scripted.stop()


@pytest.fixture
def node(hub: ScriptedHub) -> Iterator[NodeClient]:
    """A client with one confirmed subscription, `page`."""
    with NodeClient() as client:
        client.connect(f"ws://127.0.0.1:{hub.port}/cable", hub.url)
        client.subscribe("page", **PAGE)
        client.wait_for("connected", name="page")
        yield client


def test_it_connects_as_a_browser_would(hub: ScriptedHub, node: NodeClient) -> None:
    assert node.heard("opened", protocol="actioncable-v1-json")
    offered = hub.handshakes[0][1]["sec-websocket-protocol"].replace(" ", "").split(",")
    assert offered == ["actioncable-v1-json", "actioncable-unsupported"]
    assert hub.handshakes[0][1]["origin"] == hub.url
    assert set(hub.identifiers) == {json.dumps(PAGE, separators=(",", ":"))}


def test_it_hands_on_what_it_receives(hub: ScriptedHub, node: NodeClient) -> None:
    hub.tell({"html": "<p>né</p>"})
    assert node.wait_for("received", name="page")["message"] == {"html": "<p>né</p>"}
    assert node.received("page") == [{"html": "<p>né</p>"}]


def test_it_drops_comes_back_and_subscribes_again(hub: ScriptedHub, node: NodeClient) -> None:
    node.drop()
    node.wait_for("disconnected", name="page", willAttemptReconnect=True)
    node.come_to_front()
    node.wait_for("connected", name="page", times=2)
    assert len(hub.handshakes) == 2
    assert len(set(node.sent("subscribe"))) == 1


def test_it_tells_of_a_rejection(hub: ScriptedHub, node: NodeClient) -> None:
    hub.verdict = "reject_subscription"
    node.subscribe("other", channel="Switchyard::PageChannel", stream="topic:6")
    node.wait_for("rejected", name="other")


def test_it_performs_and_unsubscribes(hub: ScriptedHub, node: NodeClient) -> None:
    node.perform("page", "look", at="this")
    node.unsubscribe("page")
    hub.wait_for(lambda: hub.story[-1] == "unsubscribe")
    assert json.loads(hub.commands[-2]["data"]) == {"at": "this", "action": "look"}
    node.disconnect()
    assert node.wait_for("closed")["code"] == 1005  # a close frame without a code
