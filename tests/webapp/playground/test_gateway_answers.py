"""What a run says: streams, failures, stops, second messages, tools; in both protocols."""

from collections.abc import Callable

import pytest

from tests.webapp.playground.gateway_client import EVERYTHING, GatewayClient, text_of
from webapp.playground.gateway import PlaygroundGateway

Gateway = Callable[..., PlaygroundGateway]
Client = Callable[..., GatewayClient]


def test_a_run_prepares_streams_and_ends_with_all_it_streamed(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    run_id = ours.chat("hello gateway [[mock chunks=5 delay=90]]", "Room:12")
    final = ours.end(run_id)
    assert final == {
        "runId": run_id,
        "sessionKey": "agent:main:room:12",
        "agentId": "main",
        "seq": final["seq"],
        "state": "final",
        "stopReason": "stop",
        "message": final["message"],
    }
    phases = [payload["phase"] for payload in ours.chats(run_id, "status")]
    assert phases == ["preparing_workspace", "preparing_context", "starting_model"]
    deltas = ours.chats(run_id, "delta")
    assert [payload["deltaText"] for payload in deltas] == ["You s", "aid:", " hello", " gat", "eway"]
    assert "".join(payload["deltaText"] for payload in deltas) == text_of(final) == "You said: hello gateway"
    assert [text_of(payload) for payload in deltas][1] == "You said:"
    assert [payload["seq"] for payload in ours.chats(run_id)] == [1, 2, 4, 6, 7, 8, 9, 10, 14]
    numbers = [frame["seq"] for frame in ours.frames if "seq" in frame]
    assert numbers == list(range(1, len(numbers) + 1))


def test_deltas_are_paced_and_the_last_one_shares_its_seq_with_the_final(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(pace=60.0))
    run_id = ours.chat("[[mock words=3000]]")
    final = ours.end(run_id)
    first, last = ours.chats(run_id, "delta")
    assert text_of(first) == "w0001"
    assert last["seq"] == final["seq"]
    assert text_of(last) == text_of(final) == " ".join(f"w{n:04d}" for n in range(1, 3001))


def test_protocol_3_has_no_status_no_delta_text_and_no_agent(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(protocol=3))
    run_id = ours.chat("hello [[mock chunks=2 delay=160]]")
    assert text_of(ours.end(run_id)) == "You said: hello"
    assert {tuple(payload) for payload in ours.chats(run_id)} == {
        ("runId", "sessionKey", "seq", "state", "message"),
    }
    assert [payload["state"] for payload in ours.chats(run_id)] == ["delta", "delta", "final"]
    error = ours.request("chat.send", {"sessionKey": "x", "message": "x", "idempotencyKey": "x", "queueMode": "steer"})[
        "error"
    ]
    assert error["message"] == "invalid chat.send params: at root: unexpected property 'queueMode'"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("[[mock reply=Good+morning]]", "Good morning"),
        ("[[mock size=70000 chunks=3]]", ("0123456789abcdefghijklmnopqrstuvwxyz " * 2000)[:70000].rstrip()),
        ("steer [[mock unknown=1]] me", "You said: steer  me"),
        ("h\u00e9llo \U0001f600 [[mock chunks=9]]", "You said: h\u00e9llo \U0001f600"),
    ],
)
def test_words_in_brackets_steer_the_answer(gateway: Gateway, client: Client, message: str, text: str) -> None:
    assert text_of(client(gateway()).ask(message)) == text


def test_a_failed_run_sends_two_errors_the_second_counted_from_one(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    run_id = ours.chat("boom [[mock error=400]]")
    first = ours.end(run_id)
    second = ours.until(lambda frame: frame.get("payload", {}).get("errorMessage", "").startswith("\u26a0"))["payload"]
    assert first["errorMessage"] == "LLM request failed: provider rejected the request schema or tool payload."
    assert first["errorDetail"]["failoverReason"] == "format"
    assert (second["runId"], second["seq"], "errorDetail" in second) == (run_id, 1, False)
    assert first["errorMessage"] in second["errorMessage"]
    assert ours.history()["messages"][-1]["stopReason"] == "error"


def test_protocol_3_tells_of_an_error_once_and_late(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(protocol=3, late_error=0.3))
    run_id = ours.chat("boom [[mock error=400]]")
    error = ours.end(run_id)
    lifecycle = [f["payload"]["data"].get("phase") for f in ours.frames if f.get("event") == "agent"]
    assert lifecycle[-1] == "error"
    assert set(error) == {"runId", "sessionKey", "seq", "state", "errorMessage"}
    ours.ask("and now?")
    assert len(ours.chats(run_id, "error")) == 1


def test_a_broken_stream_is_taken_back_and_tried_again(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    run_id = ours.chat("[[mock words=6 cut=3]]")
    final = ours.end(run_id)
    taken_back = [payload for payload in ours.chats(run_id, "delta") if payload.get("replace")]
    assert [(payload["deltaText"], text_of(payload)) for payload in taken_back] == [("", "")]
    assert text_of(final) == "w0001 w0002 w0003 w0004 w0005 w0006"
    hopeless = ours.ask("[[mock words=6 cut=3 times=99]]")
    assert (hopeless["state"], hopeless["errorMessage"]) == ("error", "LLM request timed out.")


def test_in_protocol_3_a_broken_stream_looks_like_a_whole_answer(gateway: Gateway, client: Client) -> None:
    final = client(gateway(protocol=3)).ask("[[mock words=6 cut=3]]")
    assert (final["state"], text_of(final)) == ("final", "w0001 w0002 w0003")


def test_a_stop_keeps_what_was_said_and_is_told_before_it_is_answered(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    run_id = ours.chat("[[mock words=50 delay=80]]")
    ours.until(lambda frame: len(ours.chats(run_id, "delta")) >= 2)
    response = ours.request("chat.abort", {"sessionKey": "room", "runId": run_id})
    assert response["payload"] == {"ok": True, "aborted": True, "runIds": [run_id]}
    [aborted] = ours.chats(run_id, "aborted")
    assert (aborted["stopReason"], text_of(aborted)) == ("rpc", text_of(ours.chats(run_id, "delta")[-1]))
    kept = ours.history()["messages"][-1]
    assert kept["content"] == aborted["message"]["content"] and kept["openclawAbort"]
    again = ours.request("chat.abort", {"sessionKey": "room"})
    assert again["payload"] == {"ok": True, "aborted": False, "runIds": []}


def test_a_run_that_hangs_can_be_stopped_and_said_nothing(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    run_id = ours.chat("[[mock hang=1]]")
    ours.request("chat.abort", {"sessionKey": "room"})
    assert "message" not in ours.end(run_id)


def test_steered_into_a_streaming_run_a_second_message_is_answered_in_the_first(
    gateway: Gateway, client: Client
) -> None:
    ours = client(gateway())
    first = ours.chat("first [[mock chunks=8 delay=40]]")
    ours.until(lambda frame: ours.chats(first, "delta"))
    second = ours.chat("second [[mock chunks=2]]")
    [pending] = ours.history()["pendingInputs"]["items"]
    assert (pending["runId"], pending["state"], pending["message"]["content"][:6]) == (second, "queued", "second")
    absorbed, final = ours.end(second), ours.end(first)
    assert absorbed == {"runId": second, "sessionKey": "agent:main:room", "seq": 1, "state": "final"}
    assert text_of(final) == "You said: first\n\nYou said: second"
    order = [frame["payload"]["runId"] for frame in ours.frames if frame.get("payload", {}).get("state") == "final"]
    assert order == [second, first]
    lines = [line["content"] for line in ours.history()["messages"] if line["role"] == "assistant"]
    assert [line[0]["text"] for line in lines] == ["You said: first", "You said: second"]


@pytest.mark.parametrize("mode", ["steer", "followup"])
def test_queued_a_second_message_is_answered_under_a_new_run_id(gateway: Gateway, client: Client, mode: str) -> None:
    ours = client(gateway())
    first = ours.chat("first [[mock first=150]]")
    second = ours.chat("second", queueMode=mode)
    assert "message" not in ours.end(second)
    assert ours.history()["pendingInputs"]["items"][0]["runId"] == second
    assert text_of(ours.end(first)) == "You said: first"
    later = ours.until(lambda frame: "second" in text_of(frame.get("payload", {})) and is_final(frame))["payload"]
    assert later["runId"] not in (first, second)
    assert later["message"]["text"] == "You said: second"
    asked, answered = ours.history()["messages"][-2:]
    assert asked["idempotencyKey"] == f"{second}:user"
    assert answered["__openclaw"]["runId"] == later["runId"]


def is_final(frame: dict[str, object]) -> bool:
    return frame.get("event") == "chat" and frame["payload"]["state"] == "final"  # type: ignore[index]


def test_collected_messages_share_one_turn(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    ours.chat("first [[mock first=150]]")
    for word in ("second", "third"):
        assert "message" not in ours.end(ours.chat(word, queueMode="collect"))
    final = ours.until(lambda frame: is_final(frame) and "third" in text_of(frame["payload"]))["payload"]
    assert text_of(final) == "You said: Queued #1\nsecond\n\nQueued #2\nthird"


def test_an_interruption_stops_the_first_run_and_says_so(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    first = ours.chat("first [[mock words=50 delay=80]]")
    ours.until(lambda frame: ours.chats(first, "delta"))
    params = {"sessionKey": "room", "message": "second", "idempotencyKey": "second", "queueMode": "interrupt"}
    answer = ours.request("chat.send", params)["payload"]
    assert answer == {"runId": "second", "status": "started", "interruptedActiveRun": True}
    assert ours.chats(first, "aborted")[0]["stopReason"] == "aborted"
    assert text_of(ours.end("second")) == "You said: second"


def test_in_protocol_3_a_second_message_starts_the_first_text_over(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(protocol=3))
    first = ours.chat("first [[mock chunks=4 delay=60]]")
    ours.until(lambda frame: ours.chats(first, "delta"))
    second = ours.chat("second")
    assert "message" not in ours.end(second)
    assert text_of(ours.end(first)) == "You said: second"
    texts = [line["content"][0]["text"] for line in ours.history()["messages"]]
    assert texts == ["first [[mock chunks=4 delay=60]]", "second", "You said: first", "You said: second"] or texts == [
        "first [[mock chunks=4 delay=60]]",
        "You said: first",
        "second",
        "You said: second",
    ]


def test_commands_are_answered_at_once(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    ours.ask("remember me")
    final = ours.ask("/new")
    assert (final["seq"], final["message"]["model"]) == (1, "gateway-injected")
    assert ours.history()["messages"] == []
    assert "[[mock hang=1]]" in text_of(ours.ask("/help"))


def test_only_an_admin_may_keep_a_command_from_being_one(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    params = {"sessionKey": "room", "message": "/new", "idempotencyKey": "k", "suppressCommandInterpretation": True}
    assert not client(ours).request("chat.send", params)["ok"]
    assert text_of(client(ours, EVERYTHING).ask("/new", suppressCommandInterpretation=True)) == "You said: /new"


def test_no_more_runs_than_allowed_go_at_once(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(max_concurrent=1))
    ours.chat("[[mock hang=1]]", "one")
    waiting = ours.chat("hello", "two")
    assert ours.history("two")["sessionInfo"]["hasActiveRun"]
    assert ours.chats(waiting) == []
    ours.request("chat.abort", {"sessionKey": "one"})
    assert text_of(ours.end(waiting)) == "You said: hello"


def test_tools_are_seen_by_those_who_ask_to_see_them(gateway: Gateway, client: Client) -> None:
    ours = gateway(exec_mode="full")
    asker, other = client(ours, EVERYTHING, caps=("tool-events",)), client(ours)
    run_id = asker.chat('run [[tool exec {"command":"uname -s"}]]')
    assert text_of(asker.end(run_id)) == text_of(other.end(run_id)) == "Tool said: Linux"
    seen = [frame["payload"] for frame in asker.frames if frame.get("event") == "agent"]
    assert [(each["stream"], each["data"]["phase"]) for each in seen if each["stream"] in ("tool", "item")] == [
        ("item", "start"),
        ("tool", "start"),
        ("tool", "update"),
        ("tool", "result"),
        ("item", "end"),
    ]
    assert not [f for f in other.frames if f.get("event") == "agent" and f["payload"]["stream"] in ("tool", "item")]
