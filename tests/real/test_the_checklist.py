"""The rest of the checklist of a client of real gateways, item by item; what every landing needs is in the dozen."""

import uuid
from collections.abc import Iterator

import pytest

from models.database import reading
from models.gateway import Gateway
from tests.conditions import until
from tests.real.gangway import Gangway
from tests.real.haven import Haven
from tests.real.lab import Lab
from tests.real.operator import Operator, Refusal
from tests.real.test_the_dozen import approval_of, command

pytestmark = pytest.mark.real
LONG = "[[mock words=40 delay=120]]"


def test_protocol_3_to_3_is_refused_today(lab: Lab) -> None:
    if lab.protocol == 3:
        with Operator(lab.url, lab.token, protocols=(3, 3)) as operator:
            assert operator.hello["protocol"] == 3
        return
    with pytest.raises(Refusal, match="protocol mismatch"):
        Operator(lab.url, lab.token, protocols=(3, 3))


def test_the_same_key_again_says_nothing_twice(lab: Lab, operator: Operator) -> None:
    key, run_id = f"agent:main:again:{uuid.uuid4()}", str(uuid.uuid4())
    asked = {"sessionKey": key, "message": f"again {run_id} [[mock chunks=8 delay=100]]", "idempotencyKey": run_id}
    operator.request("chat.send", **asked)
    assert operator.request("chat.send", **asked)["status"] == "in_flight"
    until(lambda: operator.chat(key, "final"), "the answer", 60)
    until(lambda: operator.request("chat.send", **asked)["status"] == "ok", "the run to be over", 30)
    assert lab.model.count(f"again {run_id}") == 1


def test_a_key_in_mixed_case_comes_back_in_lower_case(operator: Operator) -> None:
    rest = "MixedCase" + uuid.uuid4().hex[:31]
    assert len(rest) == 40
    key = f"agent:main:{rest}"
    operator.request("chat.send", sessionKey=key, message="hi", idempotencyKey=str(uuid.uuid4()))
    until(lambda: operator.chat(key.lower(), "final"), "the answer", 60)
    assert operator.chat(key) == []


def test_another_client_sees_the_same_chat(haven: Haven, operator: Operator) -> None:
    topic = haven.topic()
    key = haven.session(topic)
    until(lambda: operator.chat(key, "final"), "the same final", 30)
    run_id = str(uuid.uuid4())
    operator.request("chat.send", sessionKey=key, message="from elsewhere", idempotencyKey=run_id)
    assert haven.wait_answers(topic, 2)[1:] == ["You said: from elsewhere"]
    assert (haven.said(topic)[-1].source, haven.said(topic)[-1].run_id) == ("proactive", run_id)


def test_what_fits_no_topic_goes_to_the_tray(haven: Haven, operator: Operator) -> None:
    key, words = f"agent:main:nowhere-{uuid.uuid4().hex[:8]}", f"Who goes there? {uuid.uuid4()}"
    operator.request("chat.send", sessionKey=key, message="hi", idempotencyKey=str(uuid.uuid4()))
    until(lambda: operator.chat(key, "final"), "the session", 60)
    operator.request("chat.inject", sessionKey=key, message=words)
    until(lambda: words in [item.text for item in haven.tray()], "the tray", 30)


@pytest.mark.slow
def test_a_cut_stream_is_told_whole_and_once(haven: Haven) -> None:
    topic = haven.topic()
    task = haven.ask(topic, "cut [[mock words=30 delay=60 cut=10 times=1]]")
    haven.wait(task, "done", 240)
    [said] = haven.answers(topic)
    # A gateway of the older generation does not try again: what was said is all there is.
    assert said.split()[-1] == ("w0030" if haven.gateway.protocol > 3 else "w0010")
    assert said.split() == [f"w{number:04d}" for number in range(1, len(said.split()) + 1)]


def test_a_stop_while_a_command_waits_ends_both(haven: Haven) -> None:
    topic = haven.topic()
    task = haven.ask(topic, command("uname -r"))
    approval = approval_of(haven, topic)
    status, answer = haven.hub.request("POST", f"/api/v1/tasks/{task}/cancel", None, haven.token)
    if status == 409:  # a run of the older generation does not wait for its command, and may be over
        assert haven.gateway.protocol == 3, answer
        haven.call("POST", f"/approvals/{approval['id']}/decision", {"behavior": "deny"})
    until(lambda: haven.call("GET", f"/approvals/{approval['id']}")["status"] != "pending", "its end", 30)
    haven.wait(haven.ask(topic, "and now?"), "done")
    # One of the older generation tells its model of the denial by itself, and may put our question into that turn.
    assert haven.answers(topic)[-1].endswith("and now?")


def test_a_hub_that_is_killed_in_the_middle_of_a_stream_tells_the_answer_once(haven: Haven) -> None:
    topic = haven.topic()
    task = haven.ask(topic, f"outlive me {LONG}")
    haven.under_way(task)
    haven.hub.kill()
    haven.hub.start()
    haven.wait(task, "done", 120)
    [said] = haven.answers(topic)
    assert said.split() == [f"w{number:04d}" for number in range(1, 41)]


@pytest.mark.slow
def test_a_restart_with_a_run_in_flight_is_answered_once(haven: Haven, lab: Lab) -> None:
    topic = haven.topic()
    task = haven.ask(topic, f"finish first {LONG}")
    haven.under_way(task)
    lab.terminate()
    until(lambda: lab.readiness() != 200, "it to drain", 30)
    if lab.protocol > 3:  # the run goes on, and nobody new is let in; an older one cuts it, and is asked again
        haven.wait(task, "done", 120)
    lab.stop()
    lab.start()
    haven.wait(task, "done", 120)
    haven.wait(haven.ask(topic, "and now?"), "done", 120)
    [said, after] = haven.answers(topic)
    assert (said.split()[-1], after) == ("w0040", "You said: and now?")


@pytest.fixture
def gangway(lab: Lab) -> Iterator[Gangway]:
    """A way on which the hub comes from elsewhere."""
    with Gangway(lab.port, visitor="203.0.113.7") as open_:
        yield open_


@pytest.mark.slow
def test_a_hub_elsewhere_waits_to_be_approved_and_is_shut_out_when_revoked(
    haven: Haven, gangway: Gangway, operator: Operator
) -> None:
    given = {"name": "Abroad", "url": gangway.url, "token": haven.gateway.token, "test": False}
    id = haven.call("POST", "/gateways", given)["id"]
    haven.call("POST", "/agents", {"name": "Pilot abroad", "gateway_id": id, "gateway_agent_id": "main"})

    def problem() -> str:
        return ((haven.call("GET", f"/gateways/{id}")["problem"]) or {}).get("code", "")

    until(lambda: problem() == "pairing", "the wait for an approval", 60)
    [request] = operator.request("device.pair.list")["pending"]
    assert request["requestId"] in haven.call("GET", f"/gateways/{id}")["problem"]["fix"]
    operator.request("device.pair.approve", requestId=request["requestId"])
    until(lambda: haven.call("GET", f"/gateways/{id}")["connection"] == "connected", "the hub to be let in", 90)
    assert haven.call("GET", f"/gateways/{id}")["missing_scopes"] == []
    operator.request("device.pair.remove", deviceId=request["deviceId"])
    gangway.cut()
    until(lambda: problem() in ("pairing", "token_refused"), "the refusal", 90)
    with reading() as session:
        assert session.get_one(Gateway, id).next_attempt_at is None or problem() == "pairing"
    haven.call("DELETE", f"/gateways/{id}")
