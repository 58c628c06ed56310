"""Garbled calls: none ends in a fault of ours, each refusal names what is wrong, and valid calls go on between them.

GARBAGE=2000 garbles more than the normal run does.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.database import transaction
from models.tray_item import TrayItem
from tests.webapp.api.conftest import Join, Person, connect, with_another_token
from tests.webapp.api.garbled import Garbled, calls
from tests.webapp.api.test_chats import Harbor
from webapp import waiting

EXAMPLES = int(os.environ.get("GARBAGE", "200"))
STATUSES = {200, 201, 202, 204, 400, 403, 404, 409, 413, 422}
CODES = {
    400: {"malformed"},
    403: {"forbidden"},
    404: {"not_found"},
    409: {"wrong_state", "lost_race", "already_decided"},
}
TOLD = {"error", "code", "errors", "reason", "behavior", "decided_by", "decided_at"}


def checked(call: Garbled, answer: Any) -> None:
    """Fails unless the answer is one of ours, and a refusal says what is wrong."""
    assert answer.status_code in STATUSES, (answer.status, answer.text)
    if answer.status_code < 400:
        return
    refused = answer.get_json()
    assert set(refused) <= TOLD and refused["error"]
    assert "Traceback" not in answer.text and len(refused["error"]) < 600
    assert refused["code"] in CODES.get(answer.status_code, {refused["code"]})
    if answer.status_code == 422:
        assert any(name in refused["error"] for name in call.named), (refused, call)
    if answer.status_code == 400:
        assert "JSON" in refused["error"] or "nested" in refused["error"]


def approval_ids(alice: Person, topic_id: int) -> list[int]:
    """What an agent of Alice's asks in a topic of its own."""
    for number in range(3):
        asked = {"topic_id": topic_id, "permission_request_id": f"id{number}", "arguments": {"command": "ls"}}
        alice.call("POST", "/agent/notify", asked)
    return [one["id"] for one in alice.call("GET", "/approvals")["items"]]


def gateway(alice: Person, name: str, **more: Any) -> int:
    """A gateway that nobody connects to."""
    return alice.call("POST", "/gateways", {"name": name, "url": f"wss://{name}.example.org", **more})["id"]


def left_over(gateway_id: int, number: int) -> int:
    """Something in the tray."""
    with transaction() as session:
        return TrayItem.put(session, gateway_id, "agent:main:main", f"r{number}", "Hello", "job", "It fits nowhere.").id


def test_garbled_calls_are_answered_in_words_and_valid_ones_go_on(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "answer_to", waiting.standing)  # nobody answers: there is nothing to wait for
    alice = join("Alice", "operator")
    document = alice.client.get("/api/v1/openapi.json").get_json()
    told = alice.register()
    connect(told["agent_id"])
    creative_id = alice.creative()
    topic_ids = [
        told["topic_id"],
        alice.topic(creative_id=creative_id, primary_agent_id=told["agent_id"]),
        alice.topic(),
    ]
    task_ids = [alice.say(topic_id)["tasks"][0]["id"] for topic_id in topic_ids[:2]]
    shares = f"/creatives/{creative_id}/shares"
    share_id = alice.call("POST", shares, {"level": "read", "user_id": join("Bob").id})["id"]
    quiet = alice.topic("Valid calls go on here")
    known = {
        "topic_id": topic_ids,
        "task_id": task_ids,
        "agent_id": [told["agent_id"]],
        "primary_agent_id": [told["agent_id"]],
        "creative_id": [creative_id],
        "share_id": [share_id],
        "user_id": [alice.id],
        "approver_user_id": [alice.id],
        "approval_id": approval_ids(alice, topic_ids[1]),
    }
    hand = with_another_token(alice)
    known["gateway_id"] = [gateway(alice, name, test=False) for name in ("office", "home")]
    known["item_id"] = [left_over(known["gateway_id"][0], number) for number in range(5)]
    known["request_id"] = [alice.call("POST", f"/gateways/{known['gateway_id'][0]}/test")["request_id"]]
    harbor = Harbor(alice, 1, "wait")
    known["chat_id"] = [harbor.open()["id"] for _ in range(3)]
    known["agent_id"].append(harbor.agent_id)
    count = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="GARBAGE" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(document, known), st.booleans())
    def garble(call: Garbled, keyed: bool) -> None:
        nonlocal count
        count += 1
        headers = {"Authorization": f"Bearer {hand.token}"}
        if keyed:
            headers["Idempotency-Key"] = f"garbage-{count}"
        answer = alice.client.open(
            call.path,
            method=call.method.upper(),
            query_string=call.query,
            data=call.body,
            content_type=call.kind or None,
            headers=headers,
        )
        checked(call, answer)
        if count % 10 == 0:
            alice.say(quiet, f"valid {count}")

    garble()
    assert count >= EXAMPLES
    assert len(alice.texts(quiet)) == min(count // 10, 200)
