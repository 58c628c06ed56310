"""What has to work with a real gateway before anything lands: a dozen, each a line of the checklist."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conditions import until
from tests.real.gangway import Gangway
from tests.real.haven import Haven
from tests.real.lab import Lab
from tests.real.operator import Operator

pytestmark = [pytest.mark.real, pytest.mark.dozen]
WORDS = 100
ALL_WORDS = " ".join(f"w{number:04d}" for number in range(1, WORDS + 1))


def test_handshake(haven: Haven) -> None:
    shown = haven.wait_connected()
    assert (shown["state"], shown["problem"], shown["protocol"]) == ("running", None, haven.gateway.protocol)
    assert shown["version"] == haven.gateway.release.version
    events = haven.call("GET", f"/gateways/{haven.id}/timeline")["items"]
    assert any(event["connection"] == "connected" for event in events)


def test_scopes(haven: Haven) -> None:
    shown = haven.wait_connected()
    assert shown["missing_scopes"] == []
    assert {"operator.read", "operator.write", "operator.approvals"} <= set(shown["scopes"])


def test_wrong_token_does_not_loop(haven: Haven) -> None:
    with Gangway(haven.gateway.port) as gangway:
        given: dict[str, Any] = {"name": "Wrong", "url": gangway.url, "token": "not-the-token"}
        status, answer = haven.hub.request("POST", "/api/v1/gateways", given, haven.token)
        assert (status, answer["code"]) == (422, "token_refused")
        tested = gangway.count
        id = haven.call("POST", "/gateways", {**given, "test": False})["id"]
        haven.call("POST", "/agents", {"name": "Stray", "gateway_id": id, "gateway_agent_id": "main"})
        until(lambda: haven.call("GET", f"/gateways/{id}")["problem"], "the refusal", 30)
        shown = haven.call("GET", f"/gateways/{id}")
        assert (shown["state"], shown["problem"]["code"], shown["next_attempt_at"]) == ("error", "token_refused", None)
        haven.hub.stop()
        haven.hub.start()
        haven.wait_connected()
        assert gangway.count == tested + 1
        assert haven.call("GET", f"/gateways/{id}")["problem"]["code"] == "token_refused"
        haven.call("DELETE", f"/gateways/{id}")


def test_the_stream_of_100_words_equals_the_final(haven: Haven) -> None:
    topic = haven.topic()
    task = haven.ask(topic, f"count [[mock words={WORDS} delay=25]]")
    heard = []

    def over() -> bool:
        found = haven.task(task)
        heard.append(found["partial"] or "")
        return bool(found["status"] == "done")

    until(over, "the answer", 60)
    assert haven.answers(topic) == [ALL_WORDS]
    parts = [text for text in heard if text]
    assert parts and all(ALL_WORDS.startswith(text.strip()) for text in parts)


def test_stop(haven: Haven) -> None:
    topic = haven.topic()
    task = haven.ask(topic, "a long story [[mock words=600 delay=60]]")
    haven.under_way(task)
    haven.call("POST", f"/tasks/{task}/cancel")
    assert haven.task(task)["status"] == "cancelled"
    [part] = haven.wait_answers(topic, 1)
    assert part.startswith("w0001") and "w0600" not in part
    assert haven.said(topic)[-1].cut == "Cancelled by Alice."
    haven.wait(haven.ask(topic, "and now?"), "done")
    assert haven.answers(topic)[1:] == ["You said: and now?"]


def test_two_messages_in_order(haven: Haven) -> None:
    topic = haven.topic()
    first = haven.ask(topic, "one [[mock chunks=10 delay=200]]")
    second = haven.ask(topic, "two")
    assert haven.task(second)["status"] == "queued"
    haven.wait(second, "done")
    assert haven.task(first)["status"] == "done"
    assert haven.answers(topic) == ["You said: one", "You said: two"]


def test_an_error_of_the_model_is_told_once(haven: Haven) -> None:
    topic = haven.topic()
    task = haven.ask(topic, "[[mock error=400]]")
    assert haven.wait(task, "failed")["why"]
    haven.wait(haven.ask(topic, "and now?"), "done")
    assert len([message for message in haven.said(topic) if message.source == "notice"]) <= 1
    assert haven.answers(topic)[-1] == "You said: and now?"


def test_a_job_bound_to_a_topics_key_speaks_there_by_itself(haven: Haven, operator: Operator) -> None:
    topic = haven.topic()
    key = haven.session(topic)
    operator.request(
        "cron.add",
        name="lookout",
        wakeMode="now",
        deleteAfterRun=True,
        schedule={"kind": "at", "at": (datetime.now(UTC) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")},
        sessionTarget=f"session:{key}",
        payload={"kind": "agentTurn", "message": "Look out [[mock reply=Land+ahead]]"},
    )
    assert haven.wait_answers(topic, 2)[1:] == ["Land ahead"]
    said = haven.said(topic)[-1]
    assert (said.source, said.origin, said.agent_id) == ("proactive", "job", haven.agent_id)


def test_inject(haven: Haven, operator: Operator) -> None:
    topic = haven.topic()
    key = haven.session(topic)
    operator.request("chat.inject", sessionKey=key, message="Land ahead", label="lookout")
    assert haven.wait_answers(topic, 2)[1:] == ["[lookout]\n\nLand ahead"]
    said = haven.said(topic)[-1]
    assert (said.source, said.origin, said.agent_id) == ("proactive", "inject", haven.agent_id)


def approval_of(haven: Haven, topic: int) -> Any:
    """What waits for a person there, once it does."""

    def found() -> Any:
        waiting = haven.call("GET", "/approvals?status=pending")["items"]
        return next((one for one in waiting if one["topic_id"] == topic), None)

    return until(found, "the approval", 60)


def command(words: str) -> str:
    return f'run it [[tool exec {{"command":"{words}"}}]]'


def test_a_command_is_allowed(haven: Haven) -> None:
    topic = haven.topic()
    task = haven.ask(topic, command("uname -s"))
    approval = approval_of(haven, topic)
    assert (approval["kind"], approval["gateway_id"], "uname -s" in str(approval)) == ("exec", haven.id, True)
    haven.call("POST", f"/approvals/{approval['id']}/decision", {"behavior": "allow"})
    haven.wait(task, "done")
    # Before protocol 4 a run does not wait for its command, whose outcome is told in a message of its own.
    until(lambda: "Linux" in "".join(haven.answers(topic)), "the outcome", 60)
    assert haven.call("GET", f"/approvals/{approval['id']}")["status"] == "allowed"


def test_a_command_is_denied(haven: Haven) -> None:
    topic = haven.topic()
    task = haven.ask(topic, command("uname -m"))
    approval = approval_of(haven, topic)
    haven.call("POST", f"/approvals/{approval['id']}/decision", {"behavior": "deny"})
    haven.wait(task, "done")
    assert "x86_64" not in "".join(haven.answers(topic))
    assert haven.call("GET", f"/approvals/{approval['id']}")["status"] == "denied"


def test_a_crash_with_a_run_in_flight_is_answered_once(haven: Haven, lab: Lab) -> None:
    topic = haven.topic()
    task = haven.ask(topic, "survive [[mock words=30 delay=100]]")
    haven.under_way(task)
    lab.crash()
    lab.start()
    haven.wait(task, "done", 120)
    haven.wait(haven.ask(topic, "and now?"), "done")
    answers = haven.answers(topic)
    assert answers[-1] == "You said: and now?"
    assert [text.strip().split()[-1] for text in answers[:-1]] == ["w0030"]
