"""Idempotency keys: the same write twice is done once."""

import concurrent.futures
import threading
from typing import Any

import pytest
from flask import Flask

from models import database
from models.errors import DatabaseAway
from models.topic import Topic
from tests.conditions import until
from tests.webapp.api.conftest import Join, Person, rows, value

KEY = {"Idempotency-Key": "first-try"}


def test_the_same_key_answers_what_the_first_one_answered(alice: Person) -> None:
    first, again = (alice.send("POST", "/topics", {"name": "Once"}, headers=KEY) for _ in range(2))
    assert (first.status_code, first.data) == (again.status_code, again.data) and first.status_code == 201
    assert len(alice.call("GET", "/topics")["items"]) == 1
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers


def test_a_message_sent_twice_is_said_once(alice: Person) -> None:
    id = alice.topic()
    said = [alice.call("POST", f"/topics/{id}/messages", {"text": "hi"}, headers=KEY) for _ in range(3)]
    assert said[0] == said[1] == said[2] and alice.texts(id) == ["hi"]


def test_an_answer_without_a_body_is_repeated_too(alice: Person) -> None:
    told = alice.register()
    path = f"/agent/{told['agent_id']}?topic_id={told['topic_id']}"
    assert [alice.send("DELETE", path, headers=KEY).status_code for _ in range(2)] == [204, 204]


def test_another_body_under_the_same_key_is_refused(alice: Person) -> None:
    alice.call("POST", "/topics", {"name": "Once"}, headers=KEY)
    for method, path, body in (("POST", "/topics", {"name": "Twice"}), ("POST", "/creatives", {"name": "Once"})):
        refused = alice.call(method, path, body, status=422, headers=KEY)
        assert "Idempotency-Key" in refused["error"]
    assert len(alice.call("GET", "/topics")["items"]) == 1


def test_a_key_belongs_to_a_token(alice: Person, bob: Person) -> None:
    one, two = (who.call("POST", "/topics", {"name": "Mine"}, headers=KEY)["id"] for who in (alice, bob))
    assert one != two


def test_a_refusal_is_repeated_as_well(alice: Person) -> None:
    creative_id = alice.creative()
    refused = alice.call("POST", "/topics", {"name": ""}, status=422, headers=KEY)
    assert alice.call("POST", "/topics", {"name": ""}, status=422, headers=KEY) == refused
    other = {"Idempotency-Key": "two"}
    body = {"name": "x", "creative_id": creative_id, "primary_agent_id": 10**9}
    assert [alice.send("POST", "/topics", body, headers=other).status_code for _ in range(2)] == [422, 422]
    assert alice.call("GET", "/topics")["items"] == []


def test_a_refusal_leaves_nothing_behind(alice: Person, join: Join) -> None:
    told = alice.register()
    body = {"name": "Moved", "primary_agent_id": join("Bob").register()["agent_id"]}
    alice.call("PATCH", f"/topics/{told['topic_id']}", body, status=422, headers=KEY)
    assert alice.call("GET", f"/topics/{told['topic_id']}")["name"] == told["topic_name"]


def test_after_a_day_the_key_is_new(alice: Person) -> None:
    one = alice.topic()
    first = alice.call("POST", "/topics", {"name": "Once"}, headers=KEY)["id"]
    rows("UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = 'first-try' RETURNING id")
    assert alice.call("POST", "/topics", {"name": "Another"}, headers=KEY)["id"] not in (one, first)


def test_a_failure_of_ours_gives_the_key_free(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    create = Topic.create

    def fail(*args: Any) -> None:
        create(*args)
        raise DatabaseAway

    with monkeypatch.context() as patched:
        patched.setattr(Topic, "create", fail)
        assert alice.send("POST", "/topics", {"name": "Once"}, headers=KEY).status_code == 503
    assert alice.send("POST", "/topics", {"name": "Once"}, headers=KEY).status_code == 201
    assert len(alice.call("GET", "/topics")["items"]) == 1


def test_while_the_first_still_runs_the_second_is_told_so(alice: Person) -> None:
    id = alice.topic()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        with database.transaction() as session:
            Topic.locked(session, id)
            first = thread.submit(alice.send, "POST", f"/topics/{id}/messages", {"text": "hi"}, headers=KEY)
            until(_somebody_waits, "the first to stand at the topic's lock")
            second = alice.call("POST", f"/topics/{id}/messages", {"text": "hi"}, status=409, headers=KEY)
        assert first.result(10).status_code == 201
    assert "still running" in second["error"] and alice.texts(id) == ["hi"]
    assert alice.call("POST", f"/topics/{id}/messages", {"text": "hi"}, headers=KEY) == first.result().get_json()


def _somebody_waits() -> bool:
    return value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )


def test_a_race_of_one_key_does_the_work_once(app: Flask, alice: Person) -> None:
    for number in range(10):
        key, together = {"Idempotency-Key": f"race-{number}"}, threading.Barrier(6)

        def send(
            _: int, key: dict[str, str] = key, together: threading.Barrier = together, number: int = number
        ) -> int:
            one = Person(app.test_client(), alice.id, alice.email, alice.token)
            together.wait(10)
            return one.send("POST", "/topics", {"name": f"race {number}"}, headers=key).status_code

        with concurrent.futures.ThreadPoolExecutor(6) as threads:
            assert set(threads.map(send, range(6))) <= {201, 409}
    names = [one["name"] for one in alice.call("GET", "/topics")["items"]]
    assert sorted(names) == sorted(f"race {number}" for number in range(10))


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_a_key_that_is_none_is_refused(alice: Person, key: str) -> None:
    refused = alice.call("POST", "/topics", {"name": "x"}, status=422, headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in refused["error"] and alice.call("GET", "/topics")["items"] == []


def test_a_read_takes_no_key(alice: Person) -> None:
    alice.call("GET", "/topics", headers=KEY)
    alice.topic()
    assert len(alice.call("GET", "/topics", headers=KEY)["items"]) == 1


def test_a_refusal_before_a_gateway_is_asked_is_repeated_as_well(join: Join) -> None:
    ops = join("Ops", "operator")
    body = {"name": "office", "url": "http://127.0.0.1:1"}
    refused = ops.call("POST", "/gateways", body, status=422, headers=KEY)
    assert refused["code"] == "url_refused"
    again = ops.send("POST", "/gateways", body, headers=KEY)
    assert again.get_json() == refused and again.headers["Idempotent-Replayed"] == "true"
    other = ops.call("POST", "/gateways", {**body, "name": "home"}, status=422, headers=KEY)
    assert "Idempotency-Key" in other["error"]
