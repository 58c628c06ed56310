"""Which dispatches the playground agent takes, and how its answers reach the hub."""

import dataclasses
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.webapp.playground.conftest import QUICK
from tests.webapp.playground.scripted_hub import HANG_UP, ScriptedHub, dispatch
from webapp.playground.agent import PlaygroundAgent
from webapp.playground.answers import Answer

Make = Callable[..., PlaygroundAgent]
REPLY = "POST /api/v1/agent/reply"


def test_a_dispatch_is_answered_with_everything_the_hub_needs(hub: ScriptedHub, agent: Make) -> None:
    started = agent(compose=lambda content, author: Answer(f"{author} said {content}", 0))
    started.start()
    hub.tell(dispatch(91, "b2f1", "ping"))
    started.wait_for(lambda: started.seen.outcome(91) == 201)
    assert hub.sent(REPLY)[0].body == {
        "topic_id": 22,
        "text": "Ann said ping",
        "task_id": 91,
        "execution_generation": "b2f1",
        "pending_approval_ids": [],
    }
    assert [(each.task_id, each.author, each.content) for each in started.dispatches] == [(91, "Ann", "ping")]


def test_the_same_attempt_is_answered_once_and_a_new_one_again(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    hub.tell(dispatch(91, "first"))
    hub.tell(dispatch(91, "first"))
    hub.tell(dispatch(91, "second"))
    hub.tell(dispatch(92, "first"))
    for attempt in ((91, "first"), (91, "second"), (92, "first")):
        started.wait_for(lambda attempt=attempt: started.seen.outcome(*attempt) == 201)
    answered = [(call.body["task_id"], call.body["execution_generation"]) for call in hub.sent(REPLY)]
    assert sorted(answered) == [(91, "first"), (91, "second"), (92, "first")]
    assert len(started.dispatches) == 4


def test_a_new_process_answers_an_attempt_it_does_not_remember(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    hub.tell(dispatch(91, "first", "[[silent]]"))
    started.wait_for(lambda: started.seen.outcome(91) == "silent")
    started.vanish()
    started.come_back(register=True)
    hub.tell(dispatch(91, "first", "again"))
    started.wait_for(lambda: started.seen.outcome(91) == 201)
    assert len(started.dispatches) == 2


UNUSABLE: list[tuple[Any, str]] = [
    (dispatch(task_id="91"), "task_id is '91', not an integer"),
    (dispatch(task_id=True), "task_id is True, not an integer"),
    (dispatch(task_id=2**53), f"task_id is {2**53}, not an integer"),
    (dispatch(topic_id="22"), "comment.topic_id is '22', not an integer"),
    (dispatch(topic_id=None), "comment.topic_id is None, not an integer"),
    (dispatch(generation=None), "task 91 carries no execution_generation"),
    (dispatch(generation=""), "task 91 carries no execution_generation"),
    (dispatch(generation=5), "task 91 carries no execution_generation"),
    (dispatch(comment=None), "a dispatch without a comment"),
    (dispatch(session_topic=True), "topic 22 belongs to another session"),
    ({"type": "rumour"}, "type 'rumour' is not known here"),
    ("a string", "a frame whose message is no object"),
    ({"type": "permission_decision", "request_id": "abcde", "behavior": "allow"}, "a decision nobody here waits for"),
]


@pytest.mark.parametrize(("message", "why"), UNUSABLE)
def test_what_a_real_plugin_drops_is_ignored_with_a_line(hub: ScriptedHub, agent: Make, message: Any, why: str) -> None:
    lines: list[str] = []
    started = agent(tell=lines.append)
    started.start()
    hub.tell(message)
    started.wait_for(lambda: f"ignored: {why}" in lines)
    assert started.dispatches == []


def test_a_dispatch_into_the_own_session_topic_is_taken(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    hub.tell(dispatch(topic_id=11, session_topic=True))
    started.wait_for(lambda: started.seen.outcome(91) == 201)


def test_an_identifier_that_differs_in_a_byte_is_another_one(hub: ScriptedHub, agent: Make) -> None:
    started = agent(automatic=False)
    started.start()
    known = json.loads(hub.identifiers[0])
    for other in (json.dumps(known), json.dumps(dict(reversed(known.items())), separators=(",", ":"))):
        hub.tell(dispatch(91), identifier=other)
    hub.tell(dispatch(92))
    started.wait_for(lambda: started.dispatches)
    assert [each.task_id for each in started.dispatches] == [92]
    assert list(started.seen.ignored) == ["a frame for another identifier"] * 2


@pytest.mark.parametrize("garbage", ["not json", "[]", "5", '{"type":"?"}', "[" * 100_000])
def test_garbage_does_not_cost_the_connection(hub: ScriptedHub, agent: Make, garbage: str) -> None:
    started = agent()
    started.start()
    hub.send(garbage)
    hub.tell(dispatch())
    started.wait_for(lambda: started.seen.outcome(91) == 201)
    assert started.seen.counts["lost"] == 0
    assert len(started.seen.ignored) == 1


def test_a_dispatch_without_a_task_is_seen_and_not_answered(hub: ScriptedHub, agent: Make) -> None:
    lines: list[str] = []
    started = agent(tell=lines.append)
    started.start()
    hub.tell(dispatch(task_id=None, generation=None))
    started.wait_for(lambda: "it has no task, so it cannot be answered" in lines)
    assert started.dispatches[0].task_id is None


def test_an_answer_is_sent_again_until_the_hub_takes_it(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    hub.answers[REPLY].extend([(500, {}), (503, {"error": "away"}), (HANG_UP, {}), (429, {}), (201, {})])
    hub.tell(dispatch())
    started.wait_for(lambda: started.seen.outcome(91) == 201)
    assert len(hub.sent(REPLY)) == 5
    assert len({json.dumps(call.body) for call in hub.sent(REPLY)}) == 1
    assert started.seen.counts["lost"] == 0


def test_an_answer_that_gets_no_response_in_time_is_sent_again(hub: ScriptedHub, agent: Make) -> None:
    started = agent(timing=dataclasses.replace(QUICK, request=0.2))
    started.start()
    stuck = threading.Event()
    hub.answers[REPLY] = _Slow(stuck)
    hub.tell(dispatch())
    started.wait_for(lambda: started.seen.outcome(91) == 201)
    stuck.set()
    assert len(hub.sent(REPLY)) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422])
def test_a_refused_answer_is_not_sent_again(hub: ScriptedHub, agent: Make, status: int) -> None:
    lines: list[str] = []
    started = agent(tell=lines.append)
    started.start()
    hub.answers[REPLY].append((status, {"error": "No longer yours."}))
    hub.tell(dispatch(91))
    started.wait_for(lambda: started.seen.outcome(91) == status)
    hub.tell(dispatch(92))
    started.wait_for(lambda: started.seen.outcome(92) == 201)
    assert len(hub.sent(REPLY)) == 2
    assert any("No longer yours." in line for line in lines)


def test_an_answer_under_way_survives_a_lost_socket(hub: ScriptedHub, agent: Make) -> None:
    thinking = threading.Event()

    def think(content: str, author: str) -> Answer:
        thinking.wait(5)
        return Answer("late, but here", 0)

    started = agent(compose=think)
    started.start()
    hub.tell(dispatch())
    started.wait_for(lambda: started.dispatches)
    started.cut()
    thinking.set()
    started.wait_for(lambda: started.seen.outcome(91) == 201)
    assert not started.subscribed


def test_nothing_is_answered_after_a_stop(hub: ScriptedHub, agent: Make) -> None:
    started = agent(compose=lambda content, author: Answer("too late", 60))
    started.start()
    hub.tell(dispatch())
    started.wait_for(lambda: started.seen.outcome(91) == "open")
    started.stop()
    assert hub.sent(REPLY) == []


def test_a_crash_on_demand_leaves_no_goodbye_and_no_answer(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    hub.tell(dispatch(content="now [[crash]]"))
    hub.wait_for(lambda: "closed" in hub.story[-1])
    assert hub.story[-1] != "closed 1000"
    assert hub.sent(REPLY) == []
    assert not any(line.startswith("DELETE") for line in hub.story)


def test_answering_by_hand_is_one_call_with_its_status(hub: ScriptedHub, agent: Make) -> None:
    started = agent(automatic=False)
    started.start()
    hub.tell(dispatch(91, "first", topic_id=33))
    started.wait_for(lambda: started.dispatches)
    hub.answers[REPLY].append((409, {"error": "Too late."}))
    said = started.reply(91, "first", "by hand")
    assert (said.status, said.sentence) == (409, "Too late.")
    assert hub.sent(REPLY)[0].body["topic_id"] == 33
    assert started.reply(91, "first", "elsewhere", topic_id=44).status == 201
    assert hub.sent(REPLY)[1].body["topic_id"] == 44


def test_open_prompts_are_asked_for_again_after_every_confirmation(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    assert not any(command["command"] == "message" for command in hub.commands)
    started.hearing.open_prompts.append("abcde")
    started.kill_socket()
    hub.wait_for(lambda: hub.story[-1] == "message")
    command = hub.commands[-1]
    assert command["identifier"] == hub.identifiers[0]
    assert json.loads(command["data"]) == {"action": "replay_permissions", "request_ids": ["abcde"]}
    hub.tell({"type": "permission_decision", "request_id": "abcde", "behavior": "perhaps", "agent_id": 7})
    hub.tell({"type": "permission_decision", "request_id": "abcde", "behavior": "deny", "agent_id": 7})
    started.wait_for(lambda: started.seen.counts["decision"])
    assert [decision["behavior"] for decision in started.hearing.decisions] == ["deny"]
    assert started.hearing.open_prompts == []


class _Slow:
    """Stands in for a route's answers: the first one waits until `released`, the rest are 201."""

    def __init__(self, released: threading.Event) -> None:
        self._released = released
        self._first = True

    def popleft(self) -> tuple[int, dict[str, Any]]:
        if self._first:
            self._first = False
            self._released.wait(10)
        return 201, {}
