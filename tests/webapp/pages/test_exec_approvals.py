"""A gateway's command waits for a person: what is shown, what may be decided, and the rule before it is made."""

import re
from datetime import timedelta
from typing import Any

import pytest

from models.agent import Agent
from models.base import database_time
from models.broadcast import Broadcast
from models.database import transaction
from models.gateway import Gateway
from models.message import Source
from models.permission_request import ApprovalStatus, Kind, PermissionRequest, Prompt
from models.running_answer import RunningAnswer, Saying
from models.topic import Topic
from tests.stage import Stage
from webapp import asked
from webapp.cable import payloads

ALL = ["allow", "allow_always", "deny"]
COMMAND = "<span>docker</span> <span>build</span> <span>.\\u202e</span>"
FACTS = {"command": "docker build .\u202e", "cwd": "~/work/atlas", "host": "gateway"}


def ask(stage: Stage, choices: list[str] | None, facts: Any = FACTS) -> int:
    """office waits for Alice."""
    with transaction() as session:
        now = database_time(session)
        name = f"office {session.query(Gateway).count()}"
        gateway = Gateway(name=name, url=f"ws://127.0.0.1/{name}", address=f"ws://127.0.0.1/{name}")
        session.add(gateway)
        topic = Topic.locked(session, stage.topic_id)
        assert topic is not None
        agent = session.get_one(Agent, stage.scout_id)
        message = topic.announce(session, agent, "Asks to run a command.", Source.PROMPT)
        prompt = Prompt(Kind.EXEC, f"x-{message.id}", stage.alice.id, "exec", "docker build .", facts)
        request = PermissionRequest.ask(session, prompt, agent.id, topic.id, None, message.id)
        request.gateway_id, request.choices, request.expires_at = gateway.id, choices, now + timedelta(minutes=9)
        return request.id


def test_what_is_asked_on_the_way_to_an_answer_stands_above_it(stage: Stage) -> None:
    task = stage.post("Find out why").tasks[0].id
    said = Saying(1, "run-1", task, stage.topic_id, stage.scout_id, "The image moved", [])
    with transaction() as session:
        RunningAnswer.put(session, [said], database_time(session))
    mine, other = ask(stage, ALL), ask(stage, ALL)
    with transaction() as session:
        session.get_one(PermissionRequest, mine).task_id = task
    page = stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}").text
    places = [page.index(words) for words in (f'id="approval-{mine}"', "The image moved", f'id="approval-{other}"')]
    assert places == sorted(places)


def decisions(page: str) -> list[str]:
    """What the page's buttons decide."""
    return sorted(re.findall(r'name="behavior" value="(\w+)"', page))


def test_the_card_and_the_page_show_command_folder_host_and_when_it_expires(stage: Stage) -> None:
    id = ask(stage, ALL)
    alice = stage.visitor(stage.alice)
    for path in (f"/topics/{stage.topic_id}", f"/approvals/{id}", "/approvals"):
        page = alice.get(path).text
        assert "scout asks to run a command on office" in page, path
        assert COMMAND in page, path
        assert "~/work/atlas" in page and "Folder" in page and "Host" in page, path
        assert 'data-mode="deadline"' in page and f"/approvals/{id}/always" in page, path


@pytest.mark.parametrize("choices", [["allow", "deny"], ["deny"], ["allow"]])
def test_only_what_the_gateway_takes_can_be_decided(stage: Stage, choices: list[str]) -> None:
    id = ask(stage, choices)
    alice = stage.visitor(stage.alice)
    for path in (f"/topics/{stage.topic_id}", f"/approvals/{id}"):
        page = alice.get(path).text
        assert decisions(page) == sorted(choices), path
        assert f"/approvals/{id}/always" not in page
    assert alice.get(f"/approvals/{id}/always").status_code == 303
    assert alice.post(f"/approvals/{id}/decision", behavior="allow_always").status_code == 422
    with transaction() as session:
        assert session.get_one(PermissionRequest, id).is_open


def test_the_rule_is_shown_before_it_is_made(stage: Stage) -> None:
    id = ask(stage, ALL)
    alice = stage.visitor(stage.alice)
    page = alice.get(f"/approvals/{id}/always").text
    assert "keeps this as a rule of its own" in page and COMMAND in page
    assert decisions(page) == ["allow_always"]
    assert stage.visitor(stage.bob).get(f"/approvals/{id}/always").status_code in (303, 404)
    alice.post(f"/approvals/{id}/decision", behavior="allow_always")
    with transaction() as session:
        request = session.get_one(PermissionRequest, id)
        assert (request.status, request.behavior) == (ApprovalStatus.ALLOWED, "allow_always")
    assert "<strong>Always allowed</strong> by Alice" in alice.get(f"/topics/{stage.topic_id}").text
    assert alice.get(f"/approvals/{id}/always").status_code == 303


def test_who_comes_second_is_told_that_it_is_already_decided_even_if_it_was_by_themselves(stage: Stage) -> None:
    id = ask(stage, ALL)
    alice = stage.visitor(stage.alice)
    alice.post(f"/approvals/{id}/decision", behavior="allow")
    assert "Already decided" not in alice.get(f"/approvals/{id}").text
    late = alice.post(f"/approvals/{id}/decision", behavior="deny")
    assert late.status_code == 409 and "Already decided" in late.text and "You allowed this" in late.text


def test_a_decision_elsewhere_is_shown_with_who_made_it(stage: Stage) -> None:
    id = ask(stage, ALL)
    with transaction() as session:
        request = session.get_one(PermissionRequest, id)
        request.status, request.reason = ApprovalStatus.ELSEWHERE, "Decided at the gateway, by Jonas."
    alice = stage.visitor(stage.alice)
    page = alice.get(f"/approvals/{id}").text
    assert "Decided elsewhere" in page and "Decided at the gateway, by Jonas." in page
    assert decisions(page) == []
    [row] = payloads.READERS["approval"]([Broadcast("topic:1", "approval", {"request": id})])
    assert "Decided elsewhere" in asked.fragment(row)


def test_a_field_that_is_not_known_shows_the_whole_request(stage: Stage) -> None:
    id = ask(stage, ALL, {**FACTS, "cwd": None, "env": {"TOKEN": "x"}})
    page = stage.visitor(stage.alice).get(f"/approvals/{id}").text
    assert "&#34;env&#34;" in page
