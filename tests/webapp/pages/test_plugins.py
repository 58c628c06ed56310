"""Plugins: who is connected, how one is installed, whether one works."""

import re
import uuid

import flask
import pytest
from sqlalchemy import select

from models.agent import Agent
from models.agent_session import AgentSession
from models.base import database_time
from models.database import transaction
from models.task import Task, TaskStatus
from models.user import Role, User
from tests.stage import Stage
from tests.visitor import newcomer, words


@pytest.fixture
def stage(app: flask.Flask) -> Stage:
    return Stage.enter(app)


def connect(stage: Stage) -> str:
    token = uuid.uuid4().hex
    with transaction() as session:
        Agent.subscribe(session, stage.scout_id, "laptop", token, None)
    return token


def plugin_of(stage: Stage) -> int:
    with transaction() as session:
        return session.scalars(select(AgentSession.id).where(AgentSession.agent_id == stage.scout_id)).one()


def test_a_connected_plugin_is_listed_for_its_owner_and_for_operators_only(stage: Stage) -> None:
    connect(stage)
    assert "It is connected." in words(stage.visitor(stage.alice).get("/plugins"))
    assert "scout" not in words(stage.visitor(stage.mallory).get("/plugins"))
    assert stage.visitor(stage.mallory).get(f"/plugins/{plugin_of(stage)}").status_code == 404
    assert "scout" in words(stage.visitor(newcomer("operator", "Olga")).get("/plugins"))


def test_installing_shows_a_fresh_token_once(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get("/plugins")
    page = alice.post("/plugins/install", agent_name="scribe")
    token = re.search(r"sy_\w+_[\w-]+", page.text)
    assert page.status_code == 201 and token is not None and "--name 'scribe' --token-stdin" in words(page)
    me = alice.client.get("/api/v1/me", headers={"Authorization": f"Bearer {token[0]}"})
    assert me.status_code == 200 and me.json["token"]["label"] == "plugin scribe"
    assert alice.get("/plugins/install").status_code == 303


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\u0007b"])
def test_a_name_that_cannot_be_one_is_refused_and_kept(stage: Stage, name: str) -> None:
    alice = stage.visitor(stage.alice)
    alice.get("/plugins")
    page = alice.post("/plugins/install", agent_name=name)
    assert page.status_code == 422 and "Give the agent a name" in words(page)


def test_the_self_test_says_which_step_fails_and_what_to_do(stage: Stage) -> None:
    page = words(stage.visitor(stage.alice).get(f"/plugins/{plugin_of(stage)}"))
    assert "Config: fail." in page and "Registered: pass." in page
    assert "Connected: fail. Its socket is not open." in page and "Message received: not tried yet." in page


def test_a_test_is_a_real_task_whose_way_the_page_shows(stage: Stage) -> None:
    token = connect(stage)
    alice, plugin = stage.visitor(stage.alice), plugin_of(stage)
    alice.get(f"/plugins/{plugin}")
    went = alice.post(f"/plugins/{plugin}/test")
    assert went.status_code == 303
    [task_id] = map(int, re.findall(r"test=(\d+)", went.location))
    with transaction() as session:
        Task.sent(session, [(task_id, token)])
    page = words(alice.get(went.location))
    assert f"Task {task_id} went out and has no answer yet." in page
    assert "dispatch" in page and f"task {task_id}" in page
    with transaction() as session:
        [task] = Task.locked(session, [task_id])
        task.finish(session, "failed", "scout broke.", database_time(session), "hub")
    assert "came to nothing: scout broke." in words(alice.get(went.location))


def test_an_operator_reads_of_a_plugin_what_is_no_ones_words(stage: Stage) -> None:
    task = stage.post("Find out why").tasks[0].id
    stage.end(task, TaskStatus.FAILED, "The plan is on the desk.")
    plugin = plugin_of(stage)
    page = words(stage.visitor(newcomer("operator", "Olga")).get(f"/plugins/{plugin}?test={task}"))
    assert "The plan" not in page and "Claude my-repo" not in page and "Message received: not tried yet." in page
    own = words(stage.visitor(stage.alice).get(f"/plugins/{plugin}?test={task}"))
    assert "The plan is on the desk." in own and "Claude my-repo" in own


def test_a_viewer_sends_no_test(stage: Stage) -> None:
    with transaction() as session:
        session.get_one(User, stage.alice.id).role = Role.VIEWER
    alice = stage.visitor(stage.alice)
    assert alice.post(f"/plugins/{plugin_of(stage)}/test").status_code == 403


def test_nobody_sends_a_test_to_somebody_elses_plugin(stage: Stage) -> None:
    olga = stage.visitor(newcomer("operator", "Olga"))
    olga.get("/plugins")
    assert olga.post(f"/plugins/{plugin_of(stage)}/test").status_code == 403
