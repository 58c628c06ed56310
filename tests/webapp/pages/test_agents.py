"""Agents: the table, one of them, and what its owner decides."""

import re

import pytest

from models import overview, registration
from models.agent import Agent
from models.base import database_time
from models.database import transaction
from models.user import Role
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import newcomer, words


def row(text: str, agent_id: int) -> str:
    """What the table says of an agent."""
    found = re.search(rf'(?s)<tr role="row" id="agent-{agent_id}">(.*?)</tr>', text)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<svg.*?</svg>", " ", found[1])).split())


def test_without_an_agent_the_page_says_how_to_connect_one(stage: Stage) -> None:
    page = stage.visitor(newcomer(name="Nora")).get("/agents")
    assert "No agent yet" in words(page)
    assert "switchyard playground agent --url http://127.0.0.1:8000" in words(page)
    assert 'href="/settings/tokens"' in page.text
    viewer = stage.visitor(newcomer(Role.VIEWER, "Vera")).get("/agents")
    assert "No agent yet" in words(viewer) and "playground" not in words(viewer)


def test_a_long_queue_is_not_counted_to_its_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.away()
    monkeypatch.setattr(overview, "MOST_COUNTED", 3)
    alice = stage.visitor(stage.alice)
    for expected in ("1 waits", "2 wait", "2+ wait", "2+ wait"):
        stage.post("Do this", topic_id=stage.topic(expected, stage.scout_id))
        assert expected in row(alice.get("/agents").text, stage.scout_id)
    stage.away()


def test_the_table_tells_who_is_there_and_what_each_does(stage: Stage) -> None:
    stage.away()
    alice = stage.visitor(stage.alice)
    assert "yours · plugin Away no session when named, or in its topics 0" in row(
        alice.get("/agents").text, stage.scout_id
    )
    token = stage.connect()
    page = alice.get("/agents")
    assert "Live" in row(page.text, stage.scout_id) and "1 session Live my-repo seen" in row(page.text, stage.scout_id)
    assert "It can take work." in words(page)
    stage.post("Find out why")
    stage.post("And this", topic_id=stage.topic("Other", stage.scout_id))
    assert re.search(r"Working for 1 s .* 2$", row(alice.get("/agents").text, stage.scout_id))
    stage.disconnect(token)
    page = alice.get("/agents")
    assert re.search(r"Dropped \d+ s left of grace 1 session Dropped my-repo dropped", row(page.text, stage.scout_id))
    assert "It cannot take work now." in words(page)
    stage.away()


def test_the_table_shows_some_by_address(stage: Stage) -> None:
    stage.away()
    ada = stage.visitor(stage.ada)
    with transaction() as session:
        mason, _, _ = registration.register(session, stage.ada, "mason", "desk", None, database_time(session))
    page = ada.get("/agents")
    assert "All 2 Can take work 0 Mine 1" in words(page) and "Alice’s · plugin" in row(page.text, stage.scout_id)
    mine = ada.get("/agents?show=mine").text
    assert f'id="agent-{mason.id}"' in mine and f'id="agent-{stage.scout_id}"' not in mine
    assert "No agent of this kind is here now." in words(ada.get("/agents?show=live"))


def test_the_table_costs_the_same_with_more_agents(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get("/agents")
    with counted() as few:
        alice.get("/agents")
    with transaction() as session:
        now = database_time(session)
        for number in range(12):
            registration.register(session, stage.alice, f"agent {number}", f"s{number}", None, now)
    alice.get("/agents")
    with counted() as many:
        alice.get("/agents")
    assert len(many) == len(few), many


def test_agents_of_people_one_shares_nothing_with_do_not_exist(stage: Stage) -> None:
    mallory = stage.visitor(stage.mallory)
    assert f'id="agent-{stage.scout_id}"' not in mallory.get("/agents").text
    assert mallory.get(f"/agents/{stage.scout_id}").status_code == 404
    assert mallory.post(f"/agents/{stage.scout_id}", routing_expression="true").status_code == 404


def test_one_agent_shows_its_sessions_and_the_work_one_may_read(stage: Stage) -> None:
    stage.connect()
    stage.post("Find out why")
    inbox = stage.post("Between us", topic_id=private(stage))
    alice, bob = stage.visitor(stage.alice), stage.visitor(stage.bob)
    mine, foreign = words(alice.get(f"/agents/{stage.scout_id}")), words(bob.get(f"/agents/{stage.scout_id}"))
    assert "my-repo" in mine and "Find out why" in mine and "Between us" in mine and inbox.tasks
    assert "Find out why" in foreign and "Between us" not in foreign and "Save" not in foreign
    stage.away()


def private(stage: Stage) -> int:
    """The topic of scout's session in Alice's inbox."""
    with transaction() as session:
        return registration.register(
            session, stage.alice, "scout", "laptop", "my-repo", database_time(session)
        ).topic.id


def test_its_owner_decides_what_it_takes(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/agents/{stage.scout_id}")
    saved = alice.post(
        f"/agents/{stage.scout_id}", routing_expression='topic.name == "Builds"', max_tasks="3", keep_seconds="60"
    )
    assert (saved.status_code, saved.location) == (303, f"/agents/{stage.scout_id}")
    assert "Saved" in words(alice.get(saved.location))
    with transaction() as session:
        agent = session.get_one(Agent, stage.scout_id)
    assert (agent.routing_expression, agent.max_tasks, agent.keep_seconds) == ('topic.name == "Builds"', 3, 60)
    alice.post(f"/agents/{stage.scout_id}", routing_expression=" ", max_tasks="", keep_seconds="")
    with transaction() as session:
        agent = session.get_one(Agent, stage.scout_id)
    assert (agent.routing_expression, agent.max_tasks, agent.keep_seconds) == (None, None, 0)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"routing_expression": "topic.nam == 3"}, "topic.nam"),
        ({"max_tasks": "many"}, "Give a whole number from 1 to 10,000."),
        ({"max_tasks": "0"}, "Give a whole number from 1 to 10,000."),
        ({"keep_seconds": "-1"}, "Give a whole number from 0 to"),
        ({"keep_seconds": "9" * 40}, "Give a whole number from 0 to"),
    ],
)
def test_a_refused_decision_is_explained_and_kept(stage: Stage, fields: dict[str, str], why: str) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/agents/{stage.scout_id}")
    refused = alice.post(f"/agents/{stage.scout_id}", **fields)
    assert refused.status_code == 422 and why in words(refused)
    assert next(iter(fields.values())) in refused.text


def test_only_its_owner_decides(stage: Stage) -> None:
    ada = stage.visitor(stage.ada)
    assert "Save" not in words(ada.get(f"/agents/{stage.scout_id}"))
    answer = ada.post(f"/agents/{stage.scout_id}", routing_expression="true", max_tasks="", keep_seconds="0")
    assert answer.status_code == 403 and "Only its owner changes scout." in words(answer)
