"""Gateways that refuse, ask, or torment the hub: what it says of them, and that all others go on."""

from collections.abc import Iterator

import pytest

from models import gateway_changes
from models.base import database_time
from models.database import reading, transaction
from models.gateway_request import GatewayRequest, Verb
from models.permission_request import PermissionRequest
from models.user import Role, User
from tests.conditions import until
from tests.harbor import Harbor
from tests.hub import RunningHub
from tests.journeys.conftest import Alice


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"idle_disconnect_seconds": "2"}


@pytest.fixture
def joined(hub: RunningHub, alice: Alice) -> Iterator[list[Harbor]]:
    """What a test adds is ended after it."""
    harbors: list[Harbor] = []
    yield harbors
    for harbor in harbors:
        with transaction() as session:
            row = gateway_changes.locked(session, harbor.id)
            gateway_changes.disconnect(session, row, None, database_time(session))
        harbor.gateway.crash()


def join(joined: list[Harbor], hub: RunningHub, alice: Alice, name: str, **more: object) -> Harbor:
    harbor = Harbor.join(hub, alice.id, alice.token, name, **more)  # type: ignore[arg-type]
    joined.append(harbor)
    return harbor


def test_a_refused_token_waits_for_a_person_and_is_not_tried_again(
    joined: list[Harbor], hub: RunningHub, alice: Alice
) -> None:
    harbor = join(joined, hub, alice, "Refuses")
    harbor.wait_running()
    with transaction() as session:
        row = gateway_changes.locked(session, harbor.id)
        gateway_changes.rotate(session, row, None, "a wrong one", database_time(session))
    until(lambda: harbor.row().problem_code == "token_refused", "the refusal")
    assert (harbor.row().state, harbor.row().next_attempt_at) == ("error", None)
    tries = len(harbor.gateway.ledger.connections)
    task = harbor.ask(harbor.topic(), "anybody?")
    assert "Refuses cannot be used" in str(harbor.task(task)["why"])
    with transaction() as session:
        row = gateway_changes.locked(session, harbor.id)
        gateway_changes.rotate(session, row, None, harbor.gateway.token, database_time(session))
    assert len(harbor.gateway.ledger.connections) == tries
    harbor.wait_running()
    harbor.wait(task, "done")


def test_a_test_of_a_lost_gateway_is_answered_at_once(joined: list[Harbor], hub: RunningHub, alice: Alice) -> None:
    harbor = join(joined, hub, alice, "Gone")
    harbor.wait_running()
    with transaction() as session:
        session.get_one(User, alice.id).role = Role.OPERATOR
    harbor.gateway.crash()
    until(lambda: harbor.row().attempts > 1, "that it was tried again")
    path = f"/api/v1/gateways/{harbor.id}/test"
    status, answer = hub.request("POST", path, None, alice.token)
    assert (status, answer["code"]) == (422, "unreachable") and "Is the gateway running" in answer["error"]
    harbor.gateway.start()
    until(lambda: hub.request("POST", path, None, alice.token)[0] == 200, "that it works")


def test_a_gateway_elsewhere_is_paired_and_goes_green_by_itself(
    joined: list[Harbor], hub: RunningHub, alice: Alice
) -> None:
    harbor = join(joined, hub, alice, "Far", remote=True)
    until(lambda: harbor.row().problem_code == "pairing", "the request")
    row = harbor.row()
    facts = row.problem_facts or {}
    assert facts["command"] == f"openclaw devices approve {facts['request_id']}" and row.next_attempt_at is not None
    harbor.gateway.approve(str(facts["request_id"]))
    with transaction() as session:
        session.get_one(type(row), harbor.id).next_attempt_at = database_time(session)
        gateway_changes.found(session, harbor.id).changed(session)
    harbor.wait_running()
    assert harbor.row().device_token and harbor.row().missing_scopes == []
    harbor.wait(harbor.ask(harbor.topic(), "hello"), "done")


def test_a_command_waits_for_a_person_who_decides_once(joined: list[Harbor], hub: RunningHub, alice: Alice) -> None:
    harbor = join(joined, hub, alice, "Asks")
    harbor.wait_running()
    topic = harbor.topic()
    task = harbor.ask(topic, '[[tool exec {"command":"uname -s"}]]')
    asked = until(lambda: harbor.call("GET", "/approvals?status=pending")["items"], "the approval")[0]
    assert (asked["kind"], asked["task_id"], asked["description"]) == ("exec", task, "uname -s")
    assert "allow" in asked["allowed"] and asked["expires_at"]
    harbor.call("POST", f"/approvals/{asked['id']}/decision", {"behavior": "allow"})
    harbor.wait(task, "done")
    until(lambda: told(asked["id"]) == "The gateway was told.", "that it was told")


def told(id: int) -> str | None:
    with reading() as session:
        return session.get_one(PermissionRequest, id).told


def test_what_is_decided_at_the_gateway_is_over_here(joined: list[Harbor], hub: RunningHub, alice: Alice) -> None:
    harbor = join(joined, hub, alice, "Decides")
    harbor.wait_running()
    task = harbor.ask(harbor.topic(), '[[tool exec {"command":"uname -r"}]]')
    asked = until(lambda: harbor.call("GET", "/approvals?status=pending")["items"], "the approval")[0]
    harbor.gateway.decide(asked["request_id"], "deny")
    until(lambda: harbor.call("GET", f"/approvals/{asked['id']}")["status"] == "elsewhere", "that it is over")
    harbor.wait(task, "done")


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_stop_ends_the_command_that_waits_and_nothing_more_is_heard_of_it(
    joined: list[Harbor], hub: RunningHub, alice: Alice, protocol: int
) -> None:
    harbor = join(joined, hub, alice, f"Stops {protocol}", protocol=protocol)
    harbor.wait_running()
    topic = harbor.topic()
    task = harbor.ask(topic, '[[tool exec {"command":"uname -p"}]]')
    asked = until(lambda: harbor.call("GET", "/approvals?status=pending")["items"], "the approval")[0]
    harbor.call("POST", f"/tasks/{task}/cancel")
    until(lambda: harbor.call("GET", f"/approvals/{asked['id']}")["status"] == "elsewhere", "its end", 20)
    if protocol == 3:  # it tells of a denied command in a run of its own
        follow_up = f"exec-approval-followup:{asked['request_id']}"
        told = until(lambda: harbor.gateway.ledger.find(follow_up), "the gateway to tell of it")
        until(lambda: told.state == "final", "it to have told")
    harbor.wait(harbor.ask(topic, "and now?"), "done")
    assert [text for text in harbor.texts(topic) if "did not run" in text] == []
    assert harbor.texts(topic)[-1] == "You said: and now?"


def test_a_gateway_that_is_not_kept_connects_for_work_and_leaves_again(
    joined: list[Harbor], hub: RunningHub, alice: Alice
) -> None:
    harbor = join(joined, hub, alice, "Lazy", keep=False)
    until(lambda: harbor.row().state == "stopped", "it to rest")
    assert harbor.gateway.ledger.connections == []
    harbor.wait(harbor.ask(harbor.topic(), "wake up"), "done")
    until(lambda: harbor.row().state == "stopped", "it to leave", 20)
    assert harbor.row().wanted
    harbor.gateway.wait_for(lambda: not harbor.gateway.connections, what="nobody to be there")


def test_a_draft_is_tried_in_words(joined: list[Harbor], hub: RunningHub, alice: Alice) -> None:
    harbor = join(joined, hub, alice, "Tried")
    assert outcome(url=harbor.gateway.url, token=harbor.gateway.token).answer["agents"] == [
        {"id": "main", "name": "main"}
    ]
    assert outcome(url=harbor.gateway.url, token="wrong").refusal_code == "token_refused"
    assert outcome(url="ws://127.0.0.1:1", token="x").refusal_code == "unreachable"


def outcome(**draft: str) -> GatewayRequest:
    """What came of a test."""
    with transaction() as session:
        id = GatewayRequest.ask(session, Verb.TEST, None, None, database_time(session), **draft).id

    def over() -> GatewayRequest | None:
        with reading() as session:
            asked = session.get_one(GatewayRequest, id)
            return asked if asked.finished_at is not None else None

    return until(over, "the test to be over")


@pytest.mark.parametrize("kind", ["oversize", "endless", "runs", "types", "foreign"])
def test_a_hostile_gateway_leaves_the_others_alone(
    joined: list[Harbor], hub: RunningHub, alice: Alice, kind: str
) -> None:
    good = join(joined, hub, alice, f"Good beside {kind}")
    bad = join(joined, hub, alice, f"Bad {kind}")
    good.wait_running()
    bad.wait_running()
    topic = good.topic()
    with transaction() as session:
        session.get_one(User, alice.id).role = Role.OPERATOR
    oversize = {"count": 3, "size": 26}  # MiB
    bad.gateway.hostile(
        kind, f"agent:main:{kind}", **(oversize if kind == "oversize" else {"count": 2000, "size": 200})
    )
    if kind == "oversize":
        until(lambda: "25 MiB" in str(bad.call("GET", f"/gateways/{bad.id}/timeline")), "its end to be told", 30)
    good.wait(good.ask(topic, "still there?"), "done", 30)
    assert hub.ready()
