"""Today's dialect against recordings of real gateways of both generations, and against nonsense."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.webapp.gateways import captured
from webapp.gateways import frames
from webapp.gateways.wire import Event, GatewayError, History, Response, Said, Unreadable

GENERATION_3 = [name for name in captured.NAMES if name.startswith("v3_")]
GENERATION_4 = [name for name in captured.NAMES if name not in GENERATION_3]


@pytest.mark.parametrize("name", captured.NAMES)
def test_every_recorded_frame_is_read(name: str) -> None:
    read = [frames.parse(json.dumps(frame)) for frame in captured.lines(name)]
    assert read
    assert [frame for frame in read if isinstance(frame, Unreadable)] == []


@pytest.mark.parametrize("name", captured.NAMES)
def test_no_recorded_step_of_a_run_is_lost(name: str) -> None:
    chats = [event for event in captured.events(name) if event.name == "chat"]
    assert [event for event in chats if frames.chat_event(event) is None] == []


@pytest.mark.parametrize("name", ["chat_basic", "chat_replace", "proactive", "queue_modes", "approvals"])
def test_the_pieces_joined_give_the_text_and_the_last_text_is_the_final_one(name: str) -> None:
    judged = 0
    for steps in captured.runs(name).values():
        joined = ""
        for step in steps:
            if step.state == "delta":
                joined = step.delta_text or "" if step.replace else joined + (step.delta_text or "")
                assert joined.rstrip() == (step.text or "").rstrip()
                judged += 1
        last = steps[-1]
        if last.state == "final" and last.text is not None and joined:
            assert last.text.rstrip() == joined.rstrip() or (name == "queue_modes" and last.text.startswith(joined))
    assert judged >= 3


def test_a_final_without_a_message_has_no_text() -> None:
    empty = [steps[-1] for steps in captured.runs("queue_modes").values() if steps[-1].text is None]
    assert empty
    assert {step.state for step in empty} == {"final"}


def test_a_replacing_delta_takes_the_text_back() -> None:
    [steps] = captured.runs("chat_replace").values()
    taken_back = [step for step in steps if step.replace]
    assert len(taken_back) == 2
    assert {step.text for step in taken_back} == {""}


def test_a_replacing_delta_without_a_message_carries_its_own_text() -> None:
    step = frames.chat_event(chat(state="delta", replace=True, deltaText="anew"))
    assert step is not None
    assert (step.text, step.replace) == ("anew", True)


def test_an_aborted_run_keeps_the_part_that_was_said() -> None:
    for name in ("chat_abort", "v3_chat"):
        aborted = [steps[-1] for steps in captured.runs(name).values() if steps[-1].state == "aborted"]
        assert [(step.stop_reason, (step.text or "").startswith("w0001 w0002")) for step in aborted] == [("rpc", True)]


def test_a_failed_run_says_why() -> None:
    for name in ("chat_error", "v3_chat"):
        [failed] = [steps[-1] for steps in captured.runs(name).values() if steps[-1].state == "error"]
        assert failed.error_message == "LLM request failed: provider rejected the request schema or tool payload."


def test_the_agent_of_an_older_gateway_is_read_from_the_session_key() -> None:
    steps = [step for steps in captured.runs("v3_chat").values() for step in steps]
    assert {step.agent_id for step in steps} == {"main"}
    assert {step.delta_text for step in steps} == {None}


def test_an_injected_message_is_one_final() -> None:
    [steps] = [steps for run, steps in captured.runs("proactive").items() if run.startswith("inject-")]
    assert [(step.state, step.text) for step in steps] == [("final", "[note]\n\nan injected note")]
    assert steps[0].model == "gateway-injected"


def test_hello_of_both_generations() -> None:
    [(_, newer)] = captured.answers("chat_basic", "connect")
    found = frames.hello(newer)
    assert found is not None
    assert (found.protocol, found.version, found.tick_seconds) == (4, "2026.9.6", 30.0)
    assert (found.scopes, found.boot_id is not None) == (("operator.read", "operator.write"), True)
    older = frames.hello(captured.answers("v3_chat", "connect")[0][1])
    assert older is not None
    assert (older.protocol, older.version, older.boot_id) == (3, "2026.4.29", None)
    assert older.snapshot_uptime_ms == 5415


def test_a_device_token_is_taken_from_hello_and_never_shown() -> None:
    tokens = [frames.hello(payload) for _, payload in captured.answers("pairing", "connect")]
    assert [hello.device_token for hello in tokens if hello is not None] == [None, None, *["<deviceToken>"] * 2]
    assert "<deviceToken>" not in repr(tokens)


def test_challenge_comes_first_in_every_recording() -> None:
    for name in GENERATION_4:
        first = captured.events(name)[0]
        assert frames.challenge(first) is not None
    assert frames.challenge(Event("connect.challenge", {"nonce": "x"})) is None


def test_connect_says_what_was_recorded() -> None:
    recorded = next(captured.lines("chat_basic", "out"))
    text = frames.connect_request(
        recorded["id"], version="0.1.0", scopes=["operator.read", "operator.write"], auth={"token": "<token>"}
    )
    sent = json.loads(text)
    assert sent["params"].pop("userAgent") == "switchyard/0.1.0"
    recorded["params"].pop("userAgent")
    assert sent == recorded


@pytest.mark.parametrize(("name", "protocol"), [("chat_basic", 4), ("v3_chat", 3)])
def test_history_is_read_oldest_first(name: str, protocol: int) -> None:
    [(_, payload)] = captured.answers(name, "chat.history")
    read = frames.read_history(payload, protocol)
    assert [line.role for line in read.messages][:2] == ["user", "assistant"]
    assert read.messages[-1].text == "You said: hello gateway"
    assert read.messages[-1].at is not None and read.messages[-1].at.tzinfo is UTC
    assert all(line.id for line in read.messages)
    ours = [line.idempotency_key for line in read.messages if line.role == "user"]
    assert all(key and not key.endswith(":user") for key in ours) if protocol == 4 else ours == [None]
    assert read.has_active_run is (None if protocol == 3 else False)


def test_a_run_in_flight_is_found_in_the_history() -> None:
    payload = {"messages": [], "inFlightRun": {"runId": "r1", "text": "so f", "startedAt": 1}, "hasMore": False}
    assert frames.read_history(payload, 4).in_flight == ("r1", "so f")
    assert frames.read_history(payload, 4).has_active_run is True
    assert frames.read_history(payload, 3).in_flight is None


def test_only_documented_parameters_go_to_each_generation() -> None:
    plain = {"sessionKey": "k", "message": "m", "idempotencyKey": "i"}
    assert frames.chat_send("k", "m", "i", 3, as_admin=True) == plain
    assert frames.chat_send("k", "m", "i", 4) == plain  # refused without operator.admin: tried on 2026.9.6
    assert frames.chat_send("k", "m", "i", 4, as_admin=True) == {**plain, "suppressCommandInterpretation": True}
    assert frames.history("k", 3, offset=20) == {"sessionKey": "k", "limit": 200}
    assert frames.history("k", 4, limit=5000, offset=20) == {"sessionKey": "k", "limit": 1000, "offset": 20}
    assert frames.chat_abort("k") == {"sessionKey": "k"}


def test_whether_a_message_was_heard_is_told_by_key_or_else_by_text_and_time() -> None:
    at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    newer = History([Said("user", "hello", at, "key-1")])
    assert frames.was_heard(newer, "key-1", "hello", at, 4)
    assert not frames.was_heard(newer, "key-2", "hello", at, 4)
    older = History([Said("user", "hello", at), Said("assistant", "hi", at)])
    assert frames.was_heard(older, "key-2", "hello", at - timedelta(seconds=3), 3)
    assert not frames.was_heard(older, "key-2", "hello", at + timedelta(hours=1), 3)
    assert not frames.was_heard(older, "key-2", "other", at, 3)


def test_tools_show_what_they_run_and_how_it_ended() -> None:
    found = [tool for event in captured.events("approvals") if (tool := frames.tool_event(event))]
    assert {(tool.name, tool.phase) for tool in found} >= {("exec", "start"), ("exec", "update"), ("exec", "result")}
    assert found[0].args == {"command": "uname -s"}
    assert {tool.ok for tool in found if tool.phase == "result"} == {True, False}  # allowed, denied


@pytest.mark.parametrize("name", ["approvals", "v3_approvals"])
def test_approvals_of_both_generations(name: str) -> None:
    found = [asked for event in captured.events(name) if (asked := frames.approval_event(event))]
    asked = [one for one in found if one.kind == "requested"]
    decided = [one for one in found if one.kind == "resolved"]
    assert {one.command for one in asked} == {"uname -s"}
    assert all(one.expires_at and {"allow-once", "deny"} <= set(one.allowed) for one in asked)
    assert [one.decision for one in decided] == ["allow-once", "deny"]
    assert all((one.run_id is None) is (name == "v3_approvals") for one in asked)
    assert {one.session_key for one in asked} == {"agent:main:lab:approve"}


def test_an_older_gateway_tells_the_outcome_of_an_approval_in_a_run_of_its_own() -> None:
    followed = [frames.followed_approval(run) for run in captured.runs("v3_approvals")]
    assert "77997418-2eda-404e-9d38-9f64cda4c726" in followed
    assert frames.followed_approval("some-run") is None


def test_a_missing_scope_is_told_in_both_generations() -> None:
    newer = GatewayError("FORBIDDEN", "missing scope: x", {"code": "MISSING_SCOPE", "missingScope": "operator.write"})
    older = GatewayError("INVALID_REQUEST", "missing scope: operator.admin")
    assert [frames.missing_scope(error) for error in (newer, older)] == ["operator.write", "operator.admin"]
    assert frames.missing_scope(GatewayError("INVALID_REQUEST", "unknown method: x")) is None


def test_a_shutdown_may_say_when_it_will_be_back() -> None:
    assert [frames.restart_expected_ms(event) for event in captured.events("restart")][-1] is None
    assert frames.restart_expected_ms(Event("shutdown", {"restartExpectedMs": 1500})) == 1500
    assert frames.restart_expected_ms(Event("shutdown", {"restartExpectedMs": None})) is None


def test_unknown_states_and_events_are_told_from_nonsense() -> None:
    step = frames.chat_event(chat(state="pondering"))
    assert step is not None and step.state == "pondering"
    assert frames.chat_event(Event("chat.metadata.changed", {})) is None
    assert frames.chat_event(chat(runId="")) is None
    assert frames.chat_event(chat(runId="r" * 1000)) is None
    assert frames.chat_event(chat(sessionKey=None)) is None


def test_no_text_from_a_gateway_holds_what_the_database_cannot_store() -> None:
    frame = {"type": "event", "event": "chat", "payload": {"runId": "r\0", "text\0": ["a\0b", {"c": "\\u0000"}]}}
    event = frames.parse(json.dumps(frame))
    assert isinstance(event, Event)
    assert event.payload == {"runId": "r", "text": ["ab", {"c": "\\u0000"}]}


@pytest.mark.parametrize("text", ["", "x", "[]", "1", "{}", '{"type":"req"}', '{"type":"res","id":1}', "[" * 100_000])
def test_what_is_no_frame_is_unreadable_and_raises_nothing(text: str) -> None:
    assert isinstance(frames.parse(text), Unreadable)


json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(some.data())
def test_wrong_types_never_raise(data: some.DataObject) -> None:
    """Recorded frames in which single values are replaced by anything JSON can say."""
    name = data.draw(some.sampled_from(["approvals", "chat_basic", "chat_replace", "v3_approvals"]))
    frame = data.draw(some.sampled_from(list(captured.lines(name))))
    spoil(frame, data)
    read = frames.parse(json.dumps(frame))
    payload = read.payload if isinstance(read, Response | Event) else None
    if isinstance(read, Event):
        for reader in (frames.chat_event, frames.tool_event, frames.approval_event, frames.challenge):
            reader(read)
        frames.restart_expected_ms(read)
    for protocol in (3, 4):
        frames.read_history(payload, protocol)
    frames.hello(payload)
    frames.read_approvals(payload)


def spoil(value: Any, data: some.DataObject) -> None:
    """Walks down at random and replaces one value on the way."""
    while isinstance(value, dict) and value:
        name = data.draw(some.sampled_from(sorted(value)))
        if data.draw(some.booleans()) or not isinstance(value[name], dict):
            value[name] = data.draw(json_values)
            return
        value = value[name]


def chat(**changes: Any) -> Event:
    return Event("chat", {"runId": "r", "sessionKey": "agent:main:x", "state": "delta", **changes}, 1)


def test_numbers_too_large_for_anything_end_no_connection() -> None:
    huge = int("1" * 400)
    refused = frames.parse(json.dumps({"type": "res", "id": "a", "error": {"code": "X", "retryAfterMs": huge}}))
    assert isinstance(refused, Response) and refused.error is not None and refused.error.retry_after == 3600.0
    greeted = frames.hello({"type": "hello-ok", "protocol": 3, "snapshot": {"uptimeMs": huge}})
    assert greeted is not None and greeted.snapshot_uptime_ms is None
    assert frames.restart_expected_ms(Event("shutdown", {"restartExpectedMs": -huge})) == 0
