"""Agents behind gateways, the tray, and what the hub does now, over the API."""

import uuid
from typing import Any

import pytest
from sqlalchemy import text, update

from models import database, gateway_agents, gateway_changes
from models.base import database_time
from models.gateway import Gateway
from models.gateway_states import Happening
from models.process import Process
from models.tray_item import TrayItem, TrayRoute
from models.user import User
from tests.webapp.api.conftest import Join, Person, connect, rows, value


@pytest.fixture
def ops(join: Join) -> Person:
    """Ops is an operator; the gateways of the test before are gone."""
    with database.transaction() as session:
        session.execute(update(Gateway).where(Gateway.removed_at.is_(None)).values(removed_at=database_time(session)))
        session.execute(update(TrayItem).values(ended_at=database_time(session)))
    return join("Ops", "operator")


def gateway(ops: Person, name: str = "office", port: int = 18789, token: str | None = "key") -> int:
    given = {"name": name, "url": f"ws://127.0.0.1:{port}", "token": token, "test": False}
    return ops.call("POST", "/gateways", given)["id"]


def connected(id: int) -> None:
    with database.transaction() as session:
        session.get_one(Gateway, id).happened(session, Happening.CONNECTED, database_time(session), "Connected.")


def agent(who: Person, gateway_id: int, name: str = "scout", **more: Any) -> Any:
    return who.call("POST", "/agents", {"name": name, "gateway_id": gateway_id, "gateway_agent_id": "main", **more})


def left_over(gateway_id: int, key: str = "agent:main:cron:nightly", said: str = "The build is **green**") -> int:
    with database.transaction() as session:
        return TrayItem.put(session, gateway_id, key, uuid.uuid4().hex, said, "job", "It names no topic.").id


def test_an_agent_behind_a_gateway_is_routable_while_it_is_wanted(ops: Person) -> None:
    id = gateway(ops)
    scout = agent(ops, id)
    assert (scout["kind"], scout["gateway_id"], scout["gateway_agent_id"]) == ("gateway", id, "main")
    assert (scout["routable"], scout["why_not"], scout["has_own_token"], scout["sessions"]) == (True, None, False, [])
    assert ops.call("GET", f"/gateways/{id}")["agent_ids"] == [scout["id"]]
    ops.call("POST", f"/gateways/{id}/disconnect")
    away = ops.call("GET", f"/agents/{scout['id']}")
    assert not away["routable"] and "is stopped" in away["why_not"]
    newest = ops.call("GET", f"/gateways/{id}/timeline")["items"][1]
    assert newest["text"] == "Ops put the agent scout behind it, as main."
    assert newest["affected"]["agents"] == [scout["id"]]


def test_a_name_is_an_agents_once_for_each_owner(ops: Person) -> None:
    id = gateway(ops)
    agent(ops, id)
    again = ops.send("POST", "/agents", {"name": "Scout", "gateway_id": id, "gateway_agent_id": "other"})
    assert (again.status_code, again.get_json()["code"]) == (422, "name_taken")


def test_a_member_uses_a_gateway_behind_which_an_agent_of_theirs_lives(ops: Person, alice: Person) -> None:
    id = gateway(ops)
    body = {"name": "pilot", "gateway_id": id, "gateway_agent_id": "main"}
    refused = alice.call("POST", "/agents", body, status=422)
    assert refused["error"] == f"gateway_id: there is no gateway {id} on this hub."
    with database.transaction() as session:
        owner, office = session.get_one(User, alice.id), gateway_changes.locked(session, id)
        gateway_agents.add(session, None, owner, "first", office, "main")
    assert alice.call("POST", "/agents", body)["name"] == "pilot"


def test_an_agent_with_another_key_never_acts_under_its_gateways(ops: Person) -> None:
    id = gateway(ops)
    with database.transaction() as session:
        owner, office = session.get_one(User, ops.id), gateway_changes.locked(session, id)
        own = gateway_agents.add(session, None, owner, "own", office, "main", "other").id
    found = ops.call("GET", f"/agents/{own}")
    assert (found["has_own_token"], found["routable"]) == (True, False) and "key of its own" in found["why_not"]
    ops.call("PATCH", f"/gateways/{id}", {"token": "other"})
    assert ops.call("GET", f"/agents/{own}")["routable"]
    ops.call("PATCH", f"/gateways/{id}", {"url": "ws://127.0.0.1:5"})
    assert not ops.call("GET", f"/agents/{own}")["routable"]


def test_removing_a_gateway_cancels_what_its_agents_were_given(ops: Person) -> None:
    id = gateway(ops)
    topic = ops.topic(primary_agent_id=agent(ops, id)["id"])
    [task] = ops.say(topic)["tasks"]
    assert ops.send("DELETE", f"/gateways/{id}").status_code == 204
    found = ops.task(task["id"])
    assert (found["status"], found["why"]) == ("cancelled", "Ops removed the gateway office.")
    assert ops.call("GET", "/agents")["items"] == []


def test_the_tray_holds_what_fits_no_topic_for_operators(ops: Person, alice: Person) -> None:
    id = gateway(ops)
    item = left_over(id)
    [shown] = ops.call("GET", "/tray")["items"]
    assert list(shown) == [
        "id",
        "gateway_id",
        "session_key",
        "run_id",
        "text",
        "source",
        "why",
        "created_at",
        "topic_id",
    ]
    assert (shown["id"], shown["gateway_id"], shown["source"], shown["topic_id"]) == (item, id, "job", None)
    for method, path in (("GET", "/tray"), ("POST", f"/tray/{item}/assign"), ("DELETE", f"/tray/{item}")):
        assert alice.send(method, path, {"topic_id": 1}).status_code == 403


def test_what_lies_in_the_tray_is_said_where_it_belongs_as_unasked(ops: Person) -> None:
    id = gateway(ops)
    scout, topic, item = agent(ops, id), ops.topic(), left_over(id)
    assigned = ops.call("POST", f"/tray/{item}/assign", {"topic_id": topic, "remember": True})
    assert (assigned["id"], assigned["topic_id"]) == (item, topic)
    [said] = ops.call("GET", f"/topics/{topic}/messages")["items"]
    assert (said["text"], said["source"], said["gateway_id"]) == ("The build is **green**", "proactive", id)
    assert said["author"] == {"kind": "agent", "id": scout["id"], "name": "scout"}
    assert value("SELECT origin FROM messages WHERE id = :id", id=said["id"]) == "job"
    with database.transaction() as session:
        assert TrayRoute.topic_for(session, id, "agent:main:cron:nightly") == topic
    assert ops.call("GET", "/tray")["items"] == []
    for method, path in (("POST", f"/tray/{item}/assign"), ("DELETE", f"/tray/{item}")):
        refused = ops.send(method, path, {"topic_id": topic})
        assert (refused.status_code, refused.get_json()["code"]) == (409, "wrong_state")


def test_without_an_agent_there_the_hub_says_it(ops: Person) -> None:
    topic, item = ops.topic(), left_over(gateway(ops))
    ops.call("POST", f"/tray/{item}/assign", {"topic_id": topic})
    [said] = ops.call("GET", f"/topics/{topic}/messages")["items"]
    assert said["author"]["kind"] == "system" and rows("SELECT 1 FROM tray_routes WHERE topic_id = :id", id=topic) == []


def test_nothing_is_said_where_the_operator_may_not_write(ops: Person, alice: Person) -> None:
    item = left_over(gateway(ops))
    foreign = alice.topic(creative_id=alice.creative())
    ops.call("POST", f"/tray/{item}/assign", {"topic_id": foreign}, status=404)
    put_away = ops.topic()
    ops.call("PATCH", f"/topics/{put_away}", {"archived": True})
    ops.call("POST", f"/tray/{item}/assign", {"topic_id": put_away}, status=409)
    assert len(ops.call("GET", "/tray")["items"]) == 1 and alice.texts(foreign) == []


def test_what_is_thrown_away_is_gone(ops: Person) -> None:
    item = left_over(gateway(ops))
    assert ops.send("DELETE", f"/tray/{item}").status_code == 204
    assert ops.call("GET", "/tray")["items"] == []
    ops.call("DELETE", "/tray/999999", status=404)


def test_the_status_tells_operators_of_all_connections(ops: Person) -> None:
    office, twin, home = gateway(ops), gateway(ops, "twin"), gateway(ops, "home", 2)
    lab = {"name": "lab", "managed": True, "port": 18802, "command": ["run"]}
    managed = ops.call("POST", "/gateways", lab)["id"]
    scout, pilot = agent(ops, office)["id"], agent(ops, twin, "pilot")["id"]
    connected(office)
    ops.call("POST", f"/gateways/{home}/disconnect")
    with database.transaction() as session:
        process = Process.start(session, database_time(session)).id
    found = ops.call("GET", "/status")
    by_url = {one["url"]: one for one in found["connections"]}
    assert by_url["ws://127.0.0.1:18789"] == {
        "url": "ws://127.0.0.1:18789",
        "gateway_ids": [office, twin],
        "state": "connected",
        "agent_ids": [scout, pilot],
    }
    assert by_url["ws://127.0.0.1:2"]["state"] == "disconnected"
    assert (found["total_connections"], found["total_users"]) == (1, 2)
    [supervised] = found["supervisor"]
    assert supervised == {
        "gateway_id": managed,
        "state": "stopped",
        "pid": None,
        "port": 18802,
        "attempts": 0,
        "next_attempt_at": None,
    }
    assert set(found["buffers"]) == {"open_runs", "bytes", "swept", "overflowed", "duplicates", "heartbeats"}
    assert process in [one["id"] for one in found["processes"]]


def test_the_status_adds_up_what_each_process_tells_of_itself(ops: Person) -> None:
    line = {"job": "prune", "every_seconds": 3600.0, "last_seconds": 0.1, "last_error": None}
    with database.transaction() as session:
        now = database_time(session)
        for swept, at in ((2, "2026-11-26T12:00:00Z"), (3, "2026-11-26T11:00:00Z")):
            process = Process.start(session, now)
            process.holds = {
                "gateways": {"buffers": {"swept": swept, "heartbeats": 1, "ignored": 9}},
                "timetable": [{**line, "last_run_at": at}],
            }
    found = ops.call("GET", "/status")
    assert (found["buffers"]["swept"], found["buffers"]["heartbeats"], found["buffers"]["duplicates"]) == (5, 2, 0)
    assert found["timetable"] == [{**line, "last_run_at": "2026-11-26T12:00:00Z"}]


def test_the_status_tells_others_what_is_theirs(ops: Person, alice: Person) -> None:
    id = gateway(ops)
    agent(ops, id)
    connect(alice.register()["agent_id"])
    found = alice.call("GET", "/status")
    assert (found["connections"], found["supervisor"], found["processes"]) == ([], [], [])
    assert found["presence"] == {"live": 1, "dropped": 0}
    with database.transaction() as session:
        owner, office = session.get_one(User, alice.id), gateway_changes.locked(session, id)
        own = gateway_agents.add(session, None, owner, "own", office, "main").id
    [one] = alice.call("GET", "/status")["connections"]
    assert (one["url"], one["gateway_ids"], one["agent_ids"]) == (None, [id], [own])


def test_secrets_of_gateways_lie_sealed_in_their_rows(ops: Person) -> None:
    id = gateway(ops, token="very-secret-words")
    with database.transaction() as session:
        stored = session.scalar(text("SELECT row_to_json(g)::text FROM gateways g WHERE id = :id"), {"id": id})
        told = session.scalar(text("SELECT string_agg(row_to_json(a)::text, '') FROM activity a"))
    assert "very-secret-words" not in f"{stored}{told}"
