"""The agent channel, line by line, over a real socket."""

import json
import re
import socket

import pytest
import websocket
from sqlalchemy import func, select

from models import database
from models.agent import Agent, AgentKind
from models.agent_subscription import AgentSubscription
from models.creative import Creative, Level
from models.topic import Topic
from models.user import User
from tests.cable import Cable, channel
from tests.conditions import until
from tests.hub import RunningHub, person
from tests.journeys.conftest import Alice

CONFIRMED, REJECTED = "confirm_subscription", "reject_subscription"


@pytest.fixture(scope="module")
def scout(hub: RunningHub, alice: Alice) -> dict[str, int]:
    """Alice's registered agent, as the answer to its registration."""
    body = {"agent_name": "scout", "session_id": "laptop", "session_label": "repo", "name": "scout-laptop"}
    return hub.request("POST", "/api/v1/agent/register", body, alice.token)[1]


@pytest.fixture(scope="module")
def bob(hub: RunningHub) -> tuple[int, str]:
    return person("bob@example.org", "Bob")


def rows(agent_id: int) -> list[AgentSubscription]:
    with database.transaction() as session:
        return AgentSubscription.of(session, agent_id)


def connections(hub: RunningHub) -> int:
    """How many sockets the hub holds, by its own metrics."""
    found = re.search(r"^switchyard_sockets_open{.*} (\d+)", hub.request("GET", "/metrics")[1], re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_a_freshly_registered_agent_subscribes_and_is_routable(
    hub: RunningHub, alice: Alice, scout: dict[str, int]
) -> None:
    with Cable(hub.port, alice.token) as cable:
        assert cable.socket.getsubprotocol() == "actioncable-v1-json"
        assert cable.frame() == {"type": "welcome"}
        assert cable.subscribe(**channel(agent_id=scout["agent_id"], session_id="laptop")) == CONFIRMED
        assert [row.session_id for row in rows(scout["agent_id"])] == ["laptop"]
        assert alice.call("GET", f"/agents/{scout['agent_id']}")["routable"] is True
    until(lambda: all(row.dropped_at for row in rows(scout["agent_id"])), "the drop")
    assert alice.call("GET", f"/agents/{scout['agent_id']}")["routable"] is False


def test_the_identifier_comes_back_byte_for_byte(hub: RunningHub, alice: Alice, scout: dict[str, int]) -> None:
    odd = '{"session_id" :"lap\\u0074op", "agent_id":ID, "channel":"Collavre::AgentChannel", "x":"\\/é"}'
    odd = odd.replace("ID", str(scout["agent_id"]))
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        assert cable.subscribe(identifier=odd) == CONFIRMED
        alice.post(scout["topic_id"], "to the odd one")
        sent = cable.frame()
        assert sent["identifier"] == odd and sent["message"]["comment"]["content"] == "to the odd one"


def test_a_second_subscribe_with_the_same_identifier_is_ignored(
    hub: RunningHub, alice: Alice, scout: dict[str, int]
) -> None:
    identifier = json.dumps(channel(agent_id=scout["agent_id"], session_id="twice"))
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        assert cable.subscribe(identifier=identifier) == CONFIRMED
        cable.send(command="subscribe", identifier=identifier)
        cable.send(command="subscribe", identifier='{"channel":"Nobody"}')
        assert cable.frame() == {"type": REJECTED, "identifier": '{"channel":"Nobody"}'}
        assert [row.session_id for row in rows(scout["agent_id"]) if row.session_id == "twice"] == ["twice"]


@pytest.mark.parametrize(
    "params", [{}, {"agent_id": "x"}, {"agent_id": 10**9}, {"topic_id": 10**9}, {"agent_id": None}]
)
def test_what_does_not_exist_is_rejected(hub: RunningHub, alice: Alice, params: dict[str, object]) -> None:
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        assert cable.subscribe(**channel(**params)) == REJECTED


def test_the_id_of_a_person_is_no_agents(hub: RunningHub, alice: Alice) -> None:
    with database.transaction() as session:
        highest = session.scalar(select(func.max(Agent.id))) or 0
    people = [person(f"id-{n}@example.org", "Human")[0] for n in range(highest + 1)]
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        assert cable.subscribe(**channel(agent_id=people[-1], session_id="laptop")) == REJECTED


def test_somebody_elses_agent_and_topic_are_rejected(
    hub: RunningHub, scout: dict[str, int], bob: tuple[int, str]
) -> None:
    with Cable(hub.port, bob[1]) as cable:
        cable.frame()
        assert cable.subscribe(**channel(agent_id=scout["agent_id"], session_id="laptop")) == REJECTED
        assert cable.subscribe(**channel(topic_id=scout["topic_id"])) == REJECTED
        assert cable.subscribe(channel="Switchyard::PageChannel", stream=f"topic:{scout['topic_id']}") == REJECTED
        assert cable.subscribe(channel="Switchyard::PageChannel", stream="user:1") == REJECTED


def test_a_listener_hears_the_dispatches_of_a_topic_it_may_read(
    hub: RunningHub, alice: Alice, scout: dict[str, int], bob: tuple[int, str]
) -> None:
    with database.transaction() as session:
        owner = User.by_id(session, alice.id)
        assert owner is not None
        docs = Creative.create(session, owner, "Docs")
        docs.share(session, Level.READ, user_id=bob[0])
        topic = Topic.create(session, docs, "Shared", scout["agent_id"]).id
    with Cable(hub.port, alice.token) as plugin, Cable(hub.port, bob[1]) as listener:
        assert plugin.frame() == listener.frame() == {"type": "welcome"}
        assert listener.subscribe(**channel(topic_id=topic)) == CONFIRMED
        assert plugin.subscribe(**channel(agent_id=scout["agent_id"], session_id="laptop")) == CONFIRMED
        alice.post(topic, "for both")
        assert plugin.heard()["message"] == listener.heard()["message"]
    assert all(row.session_id != "listener" for row in rows(scout["agent_id"]))


def test_taking_a_right_back_cuts_the_open_stream(hub: RunningHub, alice: Alice, bob: tuple[int, str]) -> None:
    with database.transaction() as session:
        owner = User.by_id(session, alice.id)
        assert owner is not None
        docs = Creative.create(session, owner, "For a while")
        share = docs.share(session, Level.READ, user_id=bob[0])
        topic = Topic.create(session, docs, "Open").id
    with Cable(hub.port, bob[1]) as page:
        page.frame()
        assert page.subscribe(channel="Switchyard::PageChannel", stream=f"topic:{topic}") == CONFIRMED
        with database.transaction() as session:
            docs.unshare(session, session.merge(share))
        assert page.frame()["type"] == REJECTED


def test_an_agent_that_is_no_plugins_gets_the_stream_and_no_presence(hub: RunningHub, alice: Alice) -> None:
    with database.transaction() as session:
        other = Agent(
            owner_id=alice.id,
            kind=AgentKind.GATEWAY,
            handle="pilot",
            name="pilot",
            identity_key="pilot",
            vendor="openclaw",
            model="main",
            routing_expression='message.text.contains("x")',
        )
        session.add(other)
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        assert cable.subscribe(**channel(agent_id=other.id, session_id="s")) == CONFIRMED
        assert rows(other.id) == []
    with database.transaction() as session:
        assert session.get_one(Agent, other.id).routing_expression == 'message.text.contains("x")'


def test_garbage_on_the_socket_closes_nothing(hub: RunningHub, alice: Alice, scout: dict[str, int]) -> None:
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        for text in (
            "",
            "nonsense",
            "[]",
            '{"command":1}',
            '{"command":"message","identifier":"x","data":"{}"}',
            "null",
        ):
            cable.socket.send(text)
        cable.send(command="fly", identifier="x")
        assert cable.subscribe(**channel(agent_id=scout["agent_id"], session_id="tough")) == CONFIRMED
        cable.send(
            command="message",
            identifier=json.dumps(channel(agent_id=scout["agent_id"], session_id="tough")),
            data='{"action":"x"}',
        )
        alice.call("GET", "/me")
        assert any(row.session_id == "tough" and row.dropped_at is None for row in rows(scout["agent_id"]))


def test_a_late_leave_of_an_old_connection_keeps_the_newer_row(
    hub: RunningHub, alice: Alice, scout: dict[str, int]
) -> None:
    older = Cable(hub.port, alice.token)
    older.frame()
    assert older.subscribe(**channel(agent_id=scout["agent_id"], session_id="again")) == CONFIRMED
    with Cable(hub.port, alice.token) as newer:
        newer.frame()
        assert newer.subscribe(**channel(agent_id=scout["agent_id"], session_id="again")) == CONFIRMED
        [row] = [row for row in rows(scout["agent_id"]) if row.session_id == "again"]
        older.socket.close()
        until(lambda: connections(hub) == 1, "the older connection to have left")
        [same] = [row for row in rows(scout["agent_id"]) if row.session_id == "again"]
        assert same.token == row.token and same.dropped_at is None


def test_who_is_not_authorised_is_told_at_once_and_closed_slowly(hub: RunningHub) -> None:
    cable = Cable(hub.port, "sy_wrong_token")
    assert cable.frame() == {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
    with pytest.raises(websocket.WebSocketTimeoutException):
        cable.frame(seconds=1)
    cable.socket.close()


def test_a_token_that_is_refused_again_and_again_gets_401(hub: RunningHub) -> None:
    statuses = []
    for _ in range(8):
        try:
            Cable(hub.port, "sy_revoked_again").socket.close()
            statuses.append(101)
        except websocket.WebSocketBadStatusException as refusal:
            statuses.append(refusal.status_code)
    assert statuses[0] == 101 and statuses[-1] == 401


def test_unknown_subprotocols_are_refused_before_the_handshake(hub: RunningHub, alice: Alice) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException):
        Cable(hub.port, alice.token, protocols=["graphql-ws"])
    with Cable(hub.port, alice.token, protocols=["actioncable-unsupported"]) as cable:
        assert cable.socket.getsubprotocol() == "actioncable-unsupported"
    with Cable(hub.port, alice.token, protocols=[]) as cable:
        assert cable.socket.getsubprotocol() is None and cable.frame() == {"type": "welcome"}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example"])
def test_a_foreign_origin_finds_nothing(hub: RunningHub, alice: Alice, origin: str) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        Cable(hub.port, alice.token, origin=origin)
    assert refused.value.status_code == 404


def test_an_origin_with_a_path_or_none_at_all_is_fine_with_a_token(hub: RunningHub, alice: Alice) -> None:
    with Cable(hub.port, alice.token, origin=f"http://127.0.0.1:{hub.port}/base/") as cable:
        assert cable.frame() == {"type": "welcome"}
    with Cable(hub.port, alice.token, suppress_origin=True) as cable:
        assert cable.frame() == {"type": "welcome"}


def test_no_origin_and_no_token_finds_nothing(hub: RunningHub) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        Cable(hub.port, None, suppress_origin=True)
    assert refused.value.status_code == 404


def test_a_plain_request_to_the_cable_finds_nothing(hub: RunningHub) -> None:
    assert hub.request("GET", "/cable")[0] == 404


def test_the_collector_leaves_alone_what_the_start_made(hub: RunningHub) -> None:
    assert hub.log().count("left_alone_by_the_collector") == 1


def test_the_token_is_in_no_log(hub: RunningHub, alice: Alice) -> None:
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
    until(lambda: "cable_ended" in hub.log(), "the line of the socket", 30)
    assert alice.token not in hub.log() and "token=" not in hub.log()


def test_pings_come_every_three_seconds(hub: RunningHub, alice: Alice) -> None:
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        pings = [json.loads(cable.socket.recv()) for _ in range(2)]
        assert [ping["type"] for ping in pings] == ["ping", "ping"]
        assert 2 <= pings[1]["message"] - pings[0]["message"] <= 4


def test_sockets_are_answered_without_delay(hub: RunningHub) -> None:
    with socket.create_connection(("127.0.0.1", hub.port)) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
