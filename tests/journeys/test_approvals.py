"""An agent asks, a person decides, the plugin hears of it: over real sockets, whatever falls in between."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from models import database
from models.access_token import AccessToken
from models.base import database_time
from models.user import User
from tests.cable import Cable, channel
from tests.hub import RunningHub, person, wait_ready
from tests.journeys.conftest import Alice
from webapp.playground.agent import PlaygroundAgent

Start = Callable[..., PlaygroundAgent]


@pytest.fixture
def hub(database_url: str) -> Iterator[RunningHub]:
    """A hub that may be killed: one for each test."""
    with RunningHub(database_url) as running:
        wait_ready(running)
        yield running


@pytest.fixture
def alice(hub: RunningHub) -> Alice:
    """Alice, with the token of her plugins."""
    id, token = person(f"alice-{hub.port}@example.org", "Alice")
    return Alice(hub, id, token, "alice@example.org")


@pytest.fixture
def hand(alice: Alice) -> Alice:
    """Alice, with a token that no plugin uses."""
    with database.transaction() as session:
        owner = User.by_id(session, alice.id)
        assert owner is not None
        _, token = AccessToken.create(session, owner, "by hand", database_time(session))
    return replace(alice, token=token)


def working(alice: Alice, agent: PlaygroundAgent) -> Any:
    """A turn of the agent in its own topic: the dispatch."""
    assert agent.topic_id is not None
    before = len(agent.dispatches)
    alice.post(agent.topic_id, "work")
    agent.wait_for(lambda: len(agent.dispatches) > before, what="the dispatch")
    return agent.dispatches[-1]


def ask(agent: PlaygroundAgent, turn: Any, request_id: str, **words: Any) -> None:
    """The plugin asks, and waits for the decision."""
    body = {"topic_id": turn.topic_id, "text": "", "task_id": turn.task_id, "permission_request_id": request_id}
    assert agent.hub.call("POST", "/api/v1/agent/notify", {**body, **words}).status == 201
    agent.hearing.open_prompts.append(request_id)


def decide(by: Alice, behavior: str, **words: str) -> Any:
    """Decides what was asked last."""
    newest = by.call("GET", "/approvals?status=pending&limit=1")["items"][0]
    return by.call("POST", f"/approvals/{newest['id']}/decision", {"behavior": behavior, **words})


def decisions(agent: PlaygroundAgent, count: int) -> list[dict[str, Any]]:
    agent.wait_for(lambda: len(agent.hearing.decisions) >= count, 20, "the decision")
    return agent.hearing.decisions


TOOL: dict[str, Any] = {"tool_name": "Bash", "description": "List files", "arguments": '{"command": "ls'}


def test_a_tools_decision_is_a_frame_of_four_keys(alice: Alice, hand: Alice, agent_of: Start) -> None:
    scout = agent_of("scout", automatic=False)
    ask(scout, working(alice, scout), "abcde", **TOOL)
    decide(hand, "deny", reason="not on a Friday")
    assert decisions(scout, 1) == [
        {"type": "permission_decision", "request_id": "abcde", "behavior": "deny", "agent_id": scout.agent_id}
    ]


def test_a_questions_decision_says_why_and_who(alice: Alice, hand: Alice, agent_of: Start) -> None:
    scout = agent_of("scout", automatic=False)
    turn = working(alice, scout)
    ask(scout, turn, "approval-1", approval_question="Ship it?")
    decide(hand, "allow", reason=" tested ")
    ask(scout, turn, "approval-2", approval_question="And tell?")
    decide(hand, "allow", reason=" ")
    shared = {"type": "permission_decision", "behavior": "allow", "agent_id": scout.agent_id}
    by = {"decided_by": alice.id, "decided_by_name": "Alice"}
    assert decisions(scout, 2) == [
        {**shared, "request_id": "approval-1", "reason": "tested", **by},
        {**shared, "request_id": "approval-2", **by},
    ]


def test_what_was_decided_while_the_plugin_was_away_is_told_on_its_return(
    hub: RunningHub, alice: Alice, hand: Alice, agent_of: Start
) -> None:
    scout = agent_of("scout", automatic=False)
    turn = working(alice, scout)
    ask(scout, turn, "abcde", **TOOL)
    ask(scout, turn, "approval-1", approval_question="Ship it?")
    ask(scout, turn, "still-open", approval_question="And this?")
    scout.cut()
    open_ones = {one["request_id"]: one["id"] for one in hand.call("GET", "/approvals?status=pending")["items"]}
    for request_id in ("abcde", "approval-1"):
        hand.call("POST", f"/approvals/{open_ones[request_id]}/decision", {"behavior": "allow", "reason": "go"})
    hub.kill()
    hub.start()
    wait_ready(hub)
    scout.come_back(register=True)
    told = decisions(scout, 2)
    assert {one["request_id"] for one in told} == {"abcde", "approval-1"}
    assert {len(one) for one in told} == {4, 7} and scout.hearing.open_prompts == ["still-open"]
    hand.call("POST", f"/approvals/{open_ones['still-open']}/decision", {"behavior": "deny"})
    assert decisions(scout, 3)[-1]["request_id"] == "still-open"


def test_a_decision_after_the_turn_comes_as_a_new_task(alice: Alice, hand: Alice, agent_of: Start) -> None:
    scout = agent_of("scout", automatic=False)
    turn = working(alice, scout)
    ask(scout, turn, "approval-1", approval_question="Ship it?")
    body = {"topic_id": turn.topic_id, "text": "I asked.", "task_id": turn.task_id}
    attempt = {"execution_generation": turn.generation, "pending_approval_ids": ["approval-1"]}
    with Cable(alice.hub.port, alice.token) as listener:
        listener.frame()
        listener.subscribe(**channel(topic_id=turn.topic_id))
        assert scout.hub.call("POST", "/api/v1/agent/reply", {**body, **attempt}).body["pending_approval_ids"] == [
            "approval-1"
        ]
        decide(hand, "allow", reason="green")
        sent = listener.heard()["message"]
    assert (sent["type"], sent["approval_request_id"]) == ("dispatch", "approval-1")
    assert sent["comment"]["author_id"] == scout.agent_id and "green" in sent["comment"]["content"]
    scout.wait_for(lambda: len(scout.dispatches) == 2, what="the new task")
    again = scout.dispatches[-1]
    assert scout.reply(again.task_id or 0, again.generation or "", "Shipped.").status == 201


class Replay:
    """A plugin's socket that asks for decisions; a question about a marker tells that nothing came before it."""

    def __init__(self, cable: Cable, agent_id: int) -> None:
        self.cable = cable
        self.identifier = json.dumps(channel(agent_id=agent_id, session_id="replay"))
        assert cable.frame() == {"type": "welcome"}
        assert cable.subscribe(identifier=self.identifier) == "confirm_subscription"

    def ask(self, request_ids: Any) -> None:
        data = json.dumps({"action": "replay_permissions", "request_ids": request_ids})
        self.cable.send(command="message", identifier=self.identifier, data=data)

    def heard(self, request_ids: Any) -> list[str]:
        """The ids told again for these; each replay is followed by one of a marker."""
        self.ask(request_ids)
        self.ask(["mark"])
        found: list[str] = []
        while not found or found[-1] != "mark":
            frame = self.cable.frame()
            assert frame["identifier"] == self.identifier
            found.append(frame["message"]["request_id"])
        return found[:-1]


def test_a_replay_tells_what_was_asked_for_and_decided_and_nothing_else(
    hub: RunningHub, alice: Alice, hand: Alice, agent_of: Start
) -> None:
    scout = agent_of("scout", automatic=False)
    turn = working(alice, scout)
    for request_id in ("mark", "aaaaa", "bbbbb", "12345"):
        ask(scout, turn, request_id, **TOOL)
        decide(hand, "allow")
    ask(scout, turn, "open1", **TOOL)
    decisions(scout, 4)
    with Cable(hub.port, alice.token) as one, Cable(hub.port, alice.token) as other:
        assert scout.agent_id is not None
        asking, silent = Replay(one, scout.agent_id), Replay(other, scout.agent_id)
        assert asking.heard(["aaaaa"]) == ["aaaaa"]
        assert asking.heard(["open1", "unknown"]) == []
        for odd in ([], None, "aaaaa", {"aaaaa": 1}, [None, "", "  ", [], {}, True, "a\x00b"]):
            assert asking.heard(odd) == []
        assert asking.heard(["aaaaa", "aaaaa", " aaaaa ", 12345]) == ["aaaaa", "12345"]
        assert silent.heard([]) == [], "another session's replay was told here, too"
        assert len(decisions(scout, 4)) == 4
        one.send(command="message", identifier=asking.identifier, data='{"action": "replay_permissions"}')
        assert asking.heard([]) == []


def test_subscribing_alone_replays_nothing(hub: RunningHub, alice: Alice, hand: Alice, agent_of: Start) -> None:
    scout = agent_of("scout", automatic=False)
    ask(scout, working(alice, scout), "mark", **TOOL)
    decide(hand, "allow")
    assert scout.agent_id is not None
    with Cable(hub.port, alice.token) as cable:
        assert Replay(cable, scout.agent_id).heard([]) == []


def test_a_listener_of_a_topic_is_replayed_nothing(hub: RunningHub, alice: Alice, hand: Alice, agent_of: Start) -> None:
    scout = agent_of("scout", automatic=False)
    turn = working(alice, scout)
    ask(scout, turn, "abcde", **TOOL)
    decide(hand, "allow")
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        identifier = json.dumps(channel(topic_id=turn.topic_id))
        cable.subscribe(identifier=identifier)
        data = '{"action": "replay_permissions", "request_ids": ["abcde"]}'
        cable.send(command="message", identifier=identifier, data=data)
        assert cable.subscribe(channel="Nobody") == "reject_subscription", "frames come in order: nothing came before"


def test_a_token_that_subscribed_as_an_agent_decides_nothing(
    hub: RunningHub, alice: Alice, hand: Alice, agent_of: Start
) -> None:
    scout = agent_of("scout", automatic=False)
    ask(scout, working(alice, scout), "abcde", **TOOL)
    assert scout.agent_id is not None
    with Cable(hub.port, hand.token) as cable:
        cable.frame()
        cable.subscribe(**channel(topic_id=scout.topic_id))
        cable.subscribe(**channel(agent_id=scout.agent_id, session_id="by hand"))
    newest = hand.call("GET", "/approvals?limit=1")["items"][0]["id"]
    status, refused = hub.request("POST", f"/api/v1/approvals/{newest}/decision", {"behavior": "allow"}, hand.token)
    assert (status, refused["code"]) == (403, "forbidden")
