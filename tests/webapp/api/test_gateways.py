"""Gateways over the API: who may, what is refused in which word, and what waits for a gateway's answer."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import delete, text, update

from models import database
from models.base import database_time
from models.errors import DatabaseAway
from models.gateway import Gateway
from models.gateway_request import GatewayRequest
from models.gateway_states import Happening, Problem
from tests.conditions import until
from tests.webapp.api.conftest import Join, Person, value
from webapp import waiting

WANTED = "id name url managed keep wanted draining state connection reason problem has_token token_age_seconds"
KNOWN = "protocol version scopes missing_scopes latency_ms attempts next_attempt_at connected_at open_runs"
HELD = "buffered_bytes agent_ids process port_holder"
FIELDS = f"{WANTED} {KNOWN} {HELD}"
Reply = Callable[[GatewayRequest, Any, Any], None]


@pytest.fixture
def ops(join: Join) -> Person:
    """Ops is an operator; the gateways and wishes of the test before are gone."""
    with database.transaction() as session:
        session.execute(delete(GatewayRequest))
        session.execute(update(Gateway).where(Gateway.removed_at.is_(None)).values(removed_at=database_time(session)))
    return join("Ops", "operator")


def made(ops: Person, name: str = "office", url: str = "ws://127.0.0.1:18789", **more: Any) -> Any:
    return ops.call("POST", "/gateways", {"name": name, "url": url, "test": False, **more})


def lab(ops: Person, **more: Any) -> Any:
    given = {"name": "lab", "managed": True, "port": 18802, "command": ["openclaw", "gateway"], "env": {"A": "1"}}
    return ops.call("POST", "/gateways", {**given, **more})


@contextmanager
def somebody_answers(reply: Reply, gateway_id: int | None = None) -> Iterator[list[dict[str, Any]]]:
    """A process of the hub that answers the next wish; what it was given."""
    given: list[dict[str, Any]] = []

    def answer() -> bool:
        with database.transaction() as session:
            now = database_time(session)
            found = GatewayRequest.claim(session, gateway_id, 1, now)
            if found is None:
                return False
            given.append(found.given)
            reply(found, session, now)
            return True

    thread = threading.Thread(target=lambda: until(answer, seconds=10))
    thread.start()
    try:
        yield given
    finally:
        thread.join()


def done(request: GatewayRequest, session: Any, now: Any) -> None:
    request.done(session, {"version": "2026.9.6", "agents": [{"id": "main", "name": "Main"}]}, now)


def refused(code: str, words: str = "It said no.") -> Reply:
    return lambda request, session, now: request.refuse(session, code, words, now)


def test_the_object_has_every_field(ops: Person) -> None:
    office = made(ops, token="key")
    assert " ".join(office) == FIELDS
    assert (office["state"], office["connection"], office["wanted"]) == ("starting", "connecting", True)
    assert (office["has_token"], office["token_age_seconds"], office["process"]) == (True, 0, None)
    assert "key" not in str(office)
    assert ops.call("GET", f"/gateways/{office['id']}") == office
    assert ops.call("GET", "/gateways") == {"items": [office], "next": None}


def test_members_see_nothing_of_it(ops: Person, alice: Person) -> None:
    id = made(ops)["id"]
    for method, path in (
        ("GET", "/gateways"),
        ("POST", "/gateways"),
        ("GET", f"/gateways/{id}"),
        ("PATCH", f"/gateways/{id}"),
        ("DELETE", f"/gateways/{id}"),
        ("GET", f"/gateways/{id}/timeline"),
        ("GET", f"/gateways/{id}/requests/1"),
        *(
            ("POST", f"/gateways/{id}/{verb}")
            for verb in ("test", "connect", "disconnect", "drain", "resume", "start", "stop", "restart")
        ),
    ):
        answer = alice.send(method, path, {})
        assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden"), (method, path)


def test_a_draft_is_tested_before_it_is_saved(ops: Person) -> None:
    with somebody_answers(done) as given:
        office = ops.call("POST", "/gateways", {"name": "office", "url": "WS://127.0.0.1:18789/", "token": "key"})
    assert given == [{"url": "ws://127.0.0.1:18789", "token": "key", "name": "office"}]
    assert (office["name"], office["url"], office["wanted"]) == ("office", "WS://127.0.0.1:18789/", True)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("token_refused", "token_refused"),
        ("pairing", "pairing_required"),
        ("protocol", "protocol_mismatch"),
        ("unreachable", "unreachable"),
        ("origin", "unreachable"),
        ("url_refused", "url_refused"),
    ],
)
def test_a_draft_that_is_refused_is_not_saved(ops: Person, code: str, word: str) -> None:
    with somebody_answers(refused(code)):
        answer = ops.send("POST", "/gateways", {"name": "office", "url": "ws://127.0.0.1:1"})
    assert (answer.status_code, answer.get_json()) == (422, {"error": "It said no.", "code": word})
    assert ops.call("GET", "/gateways")["items"] == []


def test_a_draft_that_nobody_tries_is_unreachable(ops: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "answer_to", lambda id: waiting.standing(id))
    answer = ops.send("POST", "/gateways", {"name": "office", "url": "ws://127.0.0.1:1"})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "unreachable")


def test_what_can_be_refused_at_once_is_tested_by_nobody(ops: Person) -> None:
    made(ops, token="key")
    for given, code in (
        ({"name": "OFFICE", "url": "ws://127.0.0.1:1"}, "name_taken"),
        ({"name": "twin", "url": "ws://127.0.0.1:18789", "token": "other"}, "key_differs"),
        ({"name": "twin", "url": "ws://127.0.0.1:18789"}, "key_differs"),
        ({"name": "far", "url": "ws://example.org"}, "url_refused"),
        ({"name": "far", "url": ""}, "url_refused"),
        ({"name": "far", "url": "wss://[::ffff:169.254.169.254]"}, "url_refused"),
        ({"name": "", "url": "ws://127.0.0.1:1"}, "invalid"),
        ({"name": "far", "url": "ws://127.0.0.1:1", "port": 5}, "invalid"),
    ):
        for test in (True, False):
            answer = ops.send("POST", "/gateways", {**given, "test": test})
            assert (answer.status_code, answer.get_json()["code"]) == (422, code), given
    assert value("SELECT count(*) FROM gateway_requests WHERE status = 'pending'") == 0


def test_a_gateway_of_this_machine_starts_when_it_is_told_to(ops: Person) -> None:
    made_ = lab(ops)
    assert (made_["state"], made_["wanted"], made_["url"]) == ("stopped", False, "ws://127.0.0.1:18802")
    assert made_["process"] == {
        "pid": None,
        "port": 18802,
        "started_at": None,
        "uptime_seconds": None,
        "adopted": False,
        "last_exit": None,
    }
    started = ops.call("POST", f"/gateways/{made_['id']}/start")
    assert (started["wanted"], started["state"]) == (True, "starting")
    assert ops.call("POST", f"/gateways/{made_['id']}/restart")["wanted"]
    assert not ops.call("POST", f"/gateways/{made_['id']}/stop")["wanted"]
    moved = ops.send("PATCH", f"/gateways/{made_['id']}", {"url": "ws://127.0.0.1:4"})
    assert (moved.status_code, moved.get_json()["code"]) == (409, "wrong_state")


def test_one_that_runs_elsewhere_is_not_started_here(ops: Person) -> None:
    id = made(ops)["id"]
    for verb in ("start", "stop", "restart"):
        answer = ops.send("POST", f"/gateways/{id}/{verb}")
        assert (answer.status_code, answer.get_json()["code"]) == (409, "wrong_state")


def test_a_changed_url_drops_the_token(ops: Person) -> None:
    id = made(ops, token="key")["id"]
    moved = ops.call("PATCH", f"/gateways/{id}", {"url": "ws://127.0.0.1:2"})
    assert (moved["url"], moved["has_token"], moved["token_age_seconds"]) == ("ws://127.0.0.1:2", False, None)
    assert ops.call("PATCH", f"/gateways/{id}", {"token": "new"})["has_token"]
    both = ops.call("PATCH", f"/gateways/{id}", {"url": "ws://127.0.0.1:3", "token": "newer", "keep": False})
    assert (both["has_token"], both["keep"]) == (True, False)
    assert ops.call("PATCH", f"/gateways/{id}", {"token": None, "name": "desk"})["name"] == "desk"
    assert not ops.call("GET", f"/gateways/{id}")["has_token"]


def test_what_is_wanted_is_said_at_once(ops: Person) -> None:
    id = made(ops)["id"]
    stopped = ops.call("POST", f"/gateways/{id}/disconnect")
    assert (stopped["wanted"], stopped["state"], stopped["reason"]) == (False, "stopped", "Ops disconnected it.")
    assert ops.call("POST", f"/gateways/{id}/connect")["state"] == "starting"
    assert ops.call("POST", f"/gateways/{id}/drain")["draining"]
    assert not ops.call("POST", f"/gateways/{id}/resume")["draining"]


def test_the_timeline_says_who_did_what_the_newest_first(ops: Person) -> None:
    id = made(ops)["id"]
    ops.call("POST", f"/gateways/{id}/drain")
    page = ops.call("GET", f"/gateways/{id}/timeline?limit=1")
    [newest] = page["items"]
    assert (newest["event"], newest["actor"]) == ("draining", "Ops")
    assert newest["affected"] == {"agents": [], "topics": []} and newest["at"].endswith("Z")
    [first] = ops.call("GET", f"/gateways/{id}/timeline?after={page['next']}")["items"]
    assert (first["text"], first["state"]) == ("Ops added it, at ws://127.0.0.1:18789.", "starting")


def test_a_test_answers_with_the_object_or_with_why_not(ops: Person) -> None:
    id = made(ops)["id"]
    with somebody_answers(done, id):
        assert ops.call("POST", f"/gateways/{id}/test")["id"] == id
    with somebody_answers(refused("token_refused", "office refused the token."), id):
        answer = ops.send("POST", f"/gateways/{id}/test")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "token_refused")


def test_a_test_that_takes_longer_is_looked_for_later(ops: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    id, waited = made(ops)["id"], waiting.answer_to
    monkeypatch.setattr(waiting, "answer_to", lambda request: waited(request, 0.0))
    later = ops.send("POST", f"/gateways/{id}/test")
    assert later.status_code == 202 and list(later.get_json()) == ["request_id"]
    path = f"/gateways/{id}/requests/{later.get_json()['request_id']}"
    assert ops.call("GET", path)["status"] == "pending"
    with somebody_answers(refused("pairing", "Not yet."), id):
        pass
    found = ops.call("GET", path)
    assert (found["status"], found["code"], found["error"]) == ("refused", "pairing_required", "Not yet.")
    ops.call("GET", f"/gateways/{made(ops, 'other')['id']}/requests/{later.get_json()['request_id']}", status=404)


def test_a_repeated_write_is_neither_tested_nor_made_twice(ops: Person) -> None:
    given = {"name": "office", "url": "ws://127.0.0.1:1"}
    with somebody_answers(done):
        first = ops.send("POST", "/gateways", given, headers={"Idempotency-Key": "once"})
    again = ops.send("POST", "/gateways", given, headers={"Idempotency-Key": "once"})
    assert (first.status_code, again.status_code, again.get_json()) == (201, 201, first.get_json())


def test_a_repeat_is_refused_while_the_first_write_waits_for_its_gateway(ops: Person) -> None:
    given, key, repeated = {"name": "office", "url": "ws://127.0.0.1:1"}, {"Idempotency-Key": "patient"}, []

    def repeat_first(request: GatewayRequest, session: Any, now: Any) -> None:
        repeated.append(ops.send("POST", "/gateways", given, headers=key))
        done(request, session, now)

    with somebody_answers(repeat_first) as wishes:
        assert ops.send("POST", "/gateways", given, headers=key).status_code == 201
    assert (repeated[0].status_code, len(wishes)) == (409, 1)
    assert "still running" in repeated[0].get_json()["error"]


def test_a_write_that_failed_while_it_waited_leaves_its_key_free(ops: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    given, key = {"name": "office", "url": "ws://127.0.0.1:1"}, {"Idempotency-Key": "unlucky"}

    def away(*asked: Any) -> None:
        raise DatabaseAway

    with monkeypatch.context() as patched:
        patched.setattr(waiting, "answer_to", away)
        assert ops.send("POST", "/gateways", given, headers=key).status_code == 503
    with database.transaction() as session:
        session.execute(delete(GatewayRequest))
    with somebody_answers(done):
        assert ops.send("POST", "/gateways", given, headers=key).status_code == 201


def test_a_removed_one_is_gone_and_its_name_is_free(ops: Person) -> None:
    id = made(ops)["id"]
    assert ops.send("DELETE", f"/gateways/{id}").status_code == 204
    for path in (f"/gateways/{id}", f"/gateways/{id}/timeline"):
        ops.call("GET", path, status=404)
    ops.call("POST", f"/gateways/{id}/connect", status=404)
    assert made(ops)["id"] != id


@pytest.mark.parametrize(
    ("problem", "facts", "heading", "fix"),
    [
        (
            Problem.PAIRING,
            {"requestId": "3c54b3d6-91f0"},
            "office does not know this hub yet",
            "openclaw devices approve 3c54b3d6-91f0",
        ),
        (Problem.TOKEN_REFUSED, {}, "office refused the token", "Replace the token."),
        (Problem.UNREACHABLE, {}, "Nothing answers at 127.0.0.1, port 18789", "does a firewall stand between?"),
        (Problem.PORT_TAKEN, {}, "Port 18789 is held by node (pid 4121)", "choose another port."),
        (Problem.CONFIG_ERROR, {"line": 14}, "office does not start: line 14 of its settings", "Correct it there"),
    ],
)
def test_a_problem_says_what_is_wrong_and_what_to_do(
    ops: Person, problem: Problem, facts: dict[str, Any], heading: str, fix: str
) -> None:
    id = made(ops, token="key")["id"]
    with database.transaction() as session:
        office = session.get_one(Gateway, id)
        office.port_holder = {"pid": 4121, "name": "node"}
        now = database_time(session)
        office.happened(session, Happening.REFUSED, now, "So it is.", problem=problem, problem_facts=facts)
    found = ops.call("GET", f"/gateways/{id}")
    assert (found["problem"]["code"], found["problem"]["text"]) == (problem, heading)
    assert found["problem"]["fix"].endswith(fix) or fix in found["problem"]["fix"]
    assert found["port_holder"] == {"pid": 4121, "name": "node"}


def test_every_problem_has_words(ops: Person) -> None:
    id = made(ops)["id"]
    for problem in Problem:
        with database.transaction() as session:
            office = session.get_one(Gateway, id)
            office.happened(session, Happening.LOST, database_time(session), "So it is.", problem=problem)
        found = ops.call("GET", f"/gateways/{id}")["problem"]
        assert found["code"] == problem and found["text"] and found["fix"]


def test_a_missing_key_hides_no_gateway(ops: Person) -> None:
    id = made(ops, token="key")["id"]
    with database.transaction() as session:
        session.execute(text("UPDATE gateways SET token = '0badc0de:x'"))
    assert ops.call("GET", f"/gateways/{id}")["has_token"]
    assert ops.call("PATCH", f"/gateways/{id}", {"token": "new"})["has_token"]
