"""The older dialect: the same verbs, in JSON-RPC's words."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from webapp.gateways import frames, jsonrpc
from webapp.gateways.dialects import dialect_of
from webapp.gateways.wire import Event, Response, Unreadable


def heard(frame: Any) -> Any:
    return jsonrpc.parse(json.dumps(frame))


def test_both_dialects_have_the_same_verbs() -> None:
    verbs = [
        "approval_event",
        "challenge",
        "chat_abort",
        "chat_event",
        "chat_send",
        "connect_request",
        "followed_approval",
        "hello",
        "history",
        "is_known",
        "missing_scope",
        "parse",
        "read_approvals",
        "read_history",
        "request",
        "restart_expected_ms",
        "tool_event",
        "was_heard",
    ]
    for name in ("openclaw", "jsonrpc"):
        assert [verb for verb in verbs if not callable(getattr(dialect_of(name), verb, None))] == []
    with pytest.raises(ValueError, match="openclaw or jsonrpc"):
        dialect_of("telnet")


def test_a_request_is_plain_json_rpc() -> None:
    sent = json.loads(jsonrpc.request("7", "chat.send", {"message": "hi"}))
    assert sent == {"jsonrpc": "2.0", "id": "7", "method": "chat.send", "params": {"message": "hi"}}


def test_answers_and_errors_become_responses() -> None:
    assert heard({"jsonrpc": "2.0", "id": "7", "result": {"a": 1}}) == Response("7", True, {"a": 1})
    assert heard({"jsonrpc": "2.0", "id": 7, "result": None}) == Response("7", True)
    refused = heard({"jsonrpc": "2.0", "id": "8", "error": {"code": -32601, "message": "no such method"}})
    assert (refused.ok, refused.error.code, refused.error.message) == (False, "UNKNOWN_METHOD", "no such method")
    wait = heard({"id": "9", "error": {"code": -1, "data": {"code": "UNAVAILABLE", "retryAfterMs": 500}}})
    assert (wait.error.code, wait.error.retry_after) == ("UNAVAILABLE", 0.5)


def test_a_received_message_is_a_final_step_of_its_run() -> None:
    params = {"runId": "r", "sessionKey": "agent:main:x", "message": {"role": "assistant", "content": "Good morning"}}
    step = jsonrpc.chat_event(heard({"jsonrpc": "2.0", "method": "chat.message_received", "params": params}))
    assert (step.run_id, step.state, step.text, step.agent_id) == ("r", "final", "Good morning", "main")
    step = jsonrpc.chat_event(Event("message.received", {"runId": "r", "sessionKey": "k", "text": "hi"}))
    assert step is not None and step.text == "hi"


def test_a_received_message_may_be_a_whole_step() -> None:
    step = {"runId": "r", "sessionKey": "k", "state": "delta", "deltaText": "a", "message": {"content": "a"}}
    found = jsonrpc.chat_event(Event("chat.message_received", {"message": step}))
    assert found == frames.chat_event(Event("chat", step))


def test_an_error_that_names_its_run_ends_it() -> None:
    step = jsonrpc.chat_event(Event("error", {"runId": "r", "sessionKey": "k", "message": "the model is away"}))
    assert step is not None
    assert (step.state, step.error_message, step.text) == ("error", "the model is away", None)
    assert jsonrpc.chat_event(Event("error", {"message": "something"})) is None


def test_todays_chat_notification_streams_here_too() -> None:
    payload = {"runId": "r", "sessionKey": "k", "state": "delta", "deltaText": "a"}
    assert jsonrpc.chat_event(Event("chat", payload)) == frames.chat_event(Event("chat", payload))


def test_other_notifications_are_known_or_not() -> None:
    assert jsonrpc.is_known(Event("channel.status_changed", {}))
    assert not jsonrpc.is_known(Event("weather.changed", {}))
    assert jsonrpc.chat_event(Event("channel.status_changed", {"status": "connected"})) is None


@pytest.mark.parametrize("frame", [[], 1, {}, {"id": True, "result": 1}, {"id": 1, "method": "ask"}, {"method": 5}])
def test_what_is_no_frame_is_unreadable(frame: Any) -> None:
    assert isinstance(heard(frame), Unreadable)


values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = some.sampled_from(["runId", "sessionKey", "state", "message", "text", "content", "errorMessage", "deltaText"])


@settings(max_examples=200, deadline=None)
@given(
    some.sampled_from(["chat.message_received", "error", "chat", "shutdown", "exec.approval.requested", "x"]),
    some.dictionaries(names, values | some.dictionaries(names, values, max_size=4), max_size=6) | values,
)
def test_wrong_types_never_raise(name: str, params: Any) -> None:
    event = heard({"jsonrpc": "2.0", "method": name, "params": params})
    for reader in (jsonrpc.chat_event, jsonrpc.tool_event, jsonrpc.approval_event, jsonrpc.restart_expected_ms):
        reader(event)
    jsonrpc.error_of(params)
