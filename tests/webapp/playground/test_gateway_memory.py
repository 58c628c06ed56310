"""What a gateway remembers: keys, transcripts, jobs, runs it was torn from; and its ledger, which forgets nothing."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.conditions import until
from tests.webapp.playground.gateway_client import EVERYTHING, Closed, GatewayClient, text_of
from webapp.playground.gateway import PlaygroundGateway

Gateway = Callable[..., PlaygroundGateway]
Client = Callable[..., GatewayClient]


def send(client: GatewayClient, message: str, run_id: str, key: str = "room") -> dict[str, object]:
    return client.request("chat.send", {"sessionKey": key, "message": message, "idempotencyKey": run_id})


def test_the_same_key_runs_once_and_says_how_it_went(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    one, two = client(ours), client(ours)
    slow = "slow [[mock words=3 delay=60]]"
    one.chat(slow, run_id="k1")
    assert send(two, slow, "k1")["payload"] == {"runId": "k1", "status": "in_flight"}
    one.end("k1")
    assert send(two, slow, "k1")["payload"] == {"runId": "k1", "status": "ok"}
    one.chat("[[mock hang=1]]", run_id="k2")
    one.request("chat.abort", {"sessionKey": "room"})
    assert send(one, "[[mock hang=1]]", "k2")["payload"] == {"runId": "k2", "status": "timeout", "summary": "aborted"}
    one.ask("[[mock error=400]]", run_id="k3")
    failed = send(one, "[[mock error=400]]", "k3")["error"]
    assert failed["code"] == "UNAVAILABLE" and "Agent failed before reply" in failed["message"]
    conflict = send(one, "something else", "k1")["error"]
    assert conflict["code"] == "INVALID_REQUEST"
    assert conflict["details"] == {"reason": "chat-request-conflict"}
    assert len(ours.ledger.runs) == 3
    assert [sent.answer for sent in ours.ledger.sends][:5] == ["started", "in_flight", "ok", "started", "timeout"]


def test_protocol_3_does_not_notice_another_text_under_the_same_key(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(protocol=3))
    ours.ask("once", run_id="k")
    assert send(ours, "something else", "k")["payload"] == {"runId": "k", "status": "ok"}


def test_history_names_keys_and_runs_and_shows_what_is_in_flight(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    run_id = ours.chat("[[mock words=9 delay=80]]")
    ours.until(lambda frame: ours.chats(run_id, "delta"))
    history = ours.history()
    assert history["inFlightRun"]["runId"] == run_id and history["inFlightRun"]["text"].startswith("w0001")
    assert history["sessionInfo"]["hasActiveRun"] is True
    assert "activeRunIds" not in history["sessionInfo"]
    assert [line["idempotencyKey"] for line in history["messages"]] == [f"{run_id}:user"]
    ours.end(run_id)
    history = ours.history()
    assert "inFlightRun" not in history and history["sessionInfo"]["hasActiveRun"] is False
    assert history["sessionInfo"]["activeRunIds"] == []
    user, assistant = history["messages"]
    assert isinstance(user["content"], str) and user["__openclaw"]["seq"] == 1
    assert assistant["__openclaw"]["runId"] == run_id


def test_history_comes_in_pages_newest_first(gateway: Gateway, client: Client) -> None:
    ours = client(gateway())
    for word in ("a", "b", "c"):
        ours.ask(word)
    newest = ours.history(limit=4)
    assert [line["content"] for line in newest["messages"] if line["role"] == "user"] == ["b", "c"]
    assert (newest["hasMore"], newest["nextOffset"], newest["totalMessages"]) == (True, 4, 6)
    oldest = ours.history(limit=4, offset=4)
    assert [line["content"] for line in oldest["messages"] if line["role"] == "user"] == ["a"]
    assert oldest["hasMore"] is False
    assert ours.history("nobody")["messages"] == []


def test_protocol_3_hides_the_unfinished_turn_and_all_keys(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(protocol=3))
    ours.ask("one")
    ours.chat("[[mock hang=1]]")
    # The first turn is written down a moment after its final is sent.
    until(lambda: len(ours.history()["messages"]) == 2, "the first turn to be written down")
    history = ours.history()
    assert set(history) == {"sessionKey", "sessionId", "messages", "thinkingLevel"}
    assert [line["content"] for line in history["messages"]] == [
        [{"type": "text", "text": "one"}],
        [{"type": "text", "text": "You said: one"}],
    ]
    assert all("idempotencyKey" not in line and "runId" not in line["__openclaw"] for line in history["messages"])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("agent::x", 'malformed session key "agent::x"'),
        ("agent:main:", 'malformed session key "agent:main:"'),
        ("agent:ghost:x", 'Agent "ghost" no longer exists in configuration'),
    ],
)
def test_keys_that_cannot_be_are_refused(gateway: Gateway, client: Client, key: str, words: str) -> None:
    error = send(client(gateway()), "hello", "k", key)["error"]
    assert (error["code"], error["message"]) == ("INVALID_REQUEST", words)


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("main", "agent:main:main"),
        ("GLOBAL", "agent:main:main"),
        ("Ours:7:Topic", "agent:main:ours:7:topic"),
        ("agent:Slot-1:A b/\u00c4", "agent:slot-1:a b/\u00e4"),
    ],
)
def test_keys_come_back_lower_case_with_their_agent(gateway: Gateway, client: Client, given: str, called: str) -> None:
    ours = client(gateway(agents=("main", "slot-1")))
    assert ours.ask("hello", given)["sessionKey"] == called


def test_an_injected_note_is_one_final_in_both_the_chat_and_the_transcript(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(), EVERYTHING)
    ours.request("sessions.messages.subscribe", {"key": "room"})
    params = {"sessionKey": "room", "message": "an injected note", "label": "note"}
    id = ours.request("chat.inject", params)["payload"]["messageId"]
    [final] = ours.chats(f"inject-{id}")
    assert (final["seq"], final["state"], text_of(final)) == (0, "final", "[note]\n\nan injected note")
    assert ours.event("session.message")["messageId"] == id
    assert ours.history()["messages"][0]["__openclaw"]["id"] == id


def test_a_job_bound_to_a_session_speaks_into_it(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    mine = client(ours, EVERYTHING)
    soon = (datetime.now(UTC) + timedelta(milliseconds=50)).isoformat()
    params = {
        "name": "greeter",
        "wakeMode": "now",
        "deleteAfterRun": True,
        "schedule": {"kind": "at", "at": soon},
        "sessionTarget": "session:Room",
        "payload": {"kind": "agentTurn", "message": "good morning [[mock reply=Good+morning]]"},
    }
    job = mine.request("cron.add", params)["payload"]
    final = mine.until(lambda frame: text_of(frame.get("payload", {})) == "Good morning" and "final" in str(frame))
    assert final["payload"]["sessionKey"] == "agent:main:room"
    entry = ours.ledger.run(final["payload"]["runId"])
    assert (entry.source, entry.text, entry.idempotency_key) == ("job", "Good morning", None)
    assert mine.chats(entry.run_id, "status") == []
    mine.until(lambda frame: frame.get("event") == "cron" and frame["payload"]["action"] == "removed")
    actions = [f["payload"]["action"] for f in mine.frames if f.get("event") == "cron"]
    assert actions == ["added", "started", "finished", "removed"]
    assert mine.request("cron.list")["payload"]["jobs"] == [] and job["sessionTarget"] == "session:Room"


def test_jobs_repeat_isolated_ones_have_their_own_session_and_main_ones_no_chat(
    gateway: Gateway, client: Client
) -> None:
    ours = client(gateway(), EVERYTHING)
    every = {"schedule": {"kind": "every", "everyMs": 30}, "wakeMode": "now"}
    turn = {"kind": "agentTurn", "message": "report"}
    job = ours.request("cron.add", {**every, "name": "r", "sessionTarget": "isolated", "payload": turn})["payload"]
    keys: set[str] = set()

    def two_sessions(frame: dict[str, object]) -> bool:
        payload = frame.get("payload")
        if frame.get("event") == "chat" and isinstance(payload, dict) and payload["state"] == "final":
            keys.add(payload["sessionKey"])
        return len(keys) == 2

    ours.until(two_sessions)
    assert all(key.startswith(f"agent:main:cron:{job['id']}:run:") for key in keys)
    assert ours.request("cron.remove", {"id": job["id"]})["payload"]["removed"]
    event = {"kind": "systemEvent", "text": "wake up"}
    main = {"name": "m", "sessionTarget": "main", "payload": event, "wakeMode": "now"}
    at = {"kind": "at", "at": datetime.now(UTC).isoformat()}
    ours.request("cron.add", {**main, "schedule": at})
    assert ours.event("heartbeat")["reason"] == "no-route"
    error = ours.request("cron.add", {**main, "schedule": {"kind": "cron", "expr": "* * * * *"}})["error"]
    assert "schedule" in error["message"]


def test_agents_and_sessions_can_be_made_listed_and_removed(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(agents_late=0.1), EVERYTHING)
    assert ours.request("agents.create", {"name": "Chat Slot 1"})["payload"]["agentId"] == "chat-slot-1"
    assert len(ours.request("agents.list")["payload"]["agents"]) == 1
    until(lambda: len(ours.request("agents.list")["payload"]["agents"]) == 2)
    listed = ours.request("agents.list")["payload"]
    assert (listed["defaultId"], [each["id"] for each in listed["agents"]]) == ("main", ["main", "chat-slot-1"])
    ours.ask("hello", "agent:chat-slot-1:room")
    [session] = ours.request("sessions.list", {"limit": 10})["payload"]["sessions"]
    assert session["key"] == "agent:chat-slot-1:room"
    ours.request("sessions.reset", {"key": session["key"]})
    assert ours.history(session["key"])["messages"] == []
    assert ours.request("sessions.delete", {"key": session["key"]})["payload"]["deleted"]
    assert ours.request("sessions.list")["payload"]["sessions"] == []
    assert ours.request("agents.delete", {"agentId": "chat-slot-1", "deleteFiles": True})["ok"]
    assert not ours.request("chat.send", {**KEY, "sessionKey": "agent:chat-slot-1:room"})["ok"]


KEY = {"message": "hello", "idempotencyKey": "k"}


def test_one_may_wait_for_the_end_of_a_run(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    one, two = client(ours), client(ours)
    run_id = one.chat("[[mock first=80]]")
    over = two.request("agent.wait", {"runId": run_id, "timeoutMs": 5000})["payload"]
    assert (over["runId"], over["status"]) == (run_id, "ok")
    assert over["terminalReply"]["text"].startswith("You said:")
    stopped = one.chat("[[mock hang=1]]")
    one.request("chat.abort", {"sessionKey": "room"})
    over = two.request("agent.wait", {"runId": stopped, "timeoutMs": 5000})["payload"]
    assert (over["status"], over["stopReason"]) == ("error", "rpc")
    assert two.request("agent.wait", {"runId": "unknown", "timeoutMs": 10})["payload"]["status"] == "timeout"


def test_a_crash_is_no_goodbye_and_the_run_is_taken_up_under_a_new_id(gateway: Gateway, client: Client) -> None:
    ours = gateway(resume=0.05)
    before = client(ours)
    boot, port = before.hello["server"]["bootId"], ours.port
    run_id = before.chat("[[mock words=40 delay=20]]")
    before.until(lambda frame: before.chats(run_id, "delta"))
    ours.crash()
    assert before.closed().code == 0
    with pytest.raises(ConnectionRefusedError):
        GatewayClient(ours.url)
    lost = ours.ledger.run(run_id)
    assert (lost.state, lost.spoken, lost.text.startswith("w0001")) == ("lost", False, True)
    ours.start()
    after = client(ours)
    assert ours.port == port and after.hello["server"]["bootId"] != boot
    resumed = ours.wait_for(lambda: lost.into)
    final = after.end(resumed)
    assert text_of(final).endswith("w0040")
    entry = ours.ledger.run(resumed)
    assert (entry.source, entry.state, entry.idempotency_key) == ("resumed", "final", run_id)
    asked, told, answered = after.history()["messages"]
    assert (told["role"], told["provenance"]["sourceTool"]) == ("user", "main_session_restart_recovery")
    assert asked["idempotencyKey"] == f"{run_id}:user"
    assert answered["__openclaw"]["runId"] == resumed
    assert [each.run_id for each in ours.ledger.spoken("agent:main:room")] == [resumed]


def test_a_run_that_is_lost_before_it_began_is_neither_written_down_nor_taken_up(
    gateway: Gateway, client: Client
) -> None:
    ours = gateway(prepare=60.0, resume=0.0)
    run_id = client(ours).chat("hello")
    ours.crash()
    ours.settings.prepare = 0.0
    after = client(ours.start())
    assert after.history()["messages"] == []
    assert text_of(after.ask("hello", run_id=run_id)) == "You said: hello"
    assert [entry.state for entry in ours.ledger.runs] == ["lost", "final"]


def test_keys_are_forgotten_in_a_crash_and_run_again(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    client(ours).ask("once", run_id="k")
    ours.crash()
    ours.start()
    assert send(client(ours), "once", "k")["payload"] == {"runId": "k", "status": "started"}
    ours.wait_for(lambda: len([each for each in ours.ledger.runs if each.state == "final"]) == 2)


def test_a_restart_says_when_it_is_back_and_a_stop_does_not(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    one = client(ours)
    ours.restart(expected=1.5)
    assert one.event("shutdown") == {"reason": "gateway restarting", "restartExpectedMs": 1500}
    closed = one.closed()
    assert (closed.code, closed.reason) == (1012, "service restart")
    two = client(ours)
    ours.stop()
    assert two.event("shutdown") == {"reason": "gateway stopping"}
    older = gateway(protocol=3)
    three = client(older)
    older.stop()
    assert three.event("shutdown") == {"reason": "gateway stopping", "restartExpectedMs": None}


def test_a_stop_with_patience_lets_runs_finish(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    mine = client(ours)
    run_id = mine.chat("[[mock words=5 delay=30]]")
    ours.stop(patience=10)
    assert text_of(mine.end(run_id)) == "w0001 w0002 w0003 w0004 w0005"
    with pytest.raises(Closed):
        mine.until(lambda frame: False)


def test_the_ledger_tells_of_every_run_who_heard_its_end(gateway: Gateway, client: Client) -> None:
    ours, began = gateway(), time.time()
    mine, other = client(ours), client(ours)
    run_id = mine.chat("hello")
    mine.end(run_id), other.end(run_id)
    [entry] = ours.ledger.runs
    assert (entry.session_key, entry.agent_id, entry.source) == ("agent:main:room", "main", "send")
    assert (entry.state, entry.text, entry.message) == ("final", "You said: hello", "hello")
    assert entry.heard == [mine.hello["server"]["connId"], other.hello["server"]["connId"]]
    assert began <= entry.began_at <= (entry.ended_at or 0) <= time.time()
    [sent] = ours.ledger.sends
    assert (sent.idempotency_key, sent.connection, sent.answer) == (run_id, entry.heard[0], "started")
