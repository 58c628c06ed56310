"""Trace: from a message or a task to all that led to it and came of it."""

import uuid

import flask
import pytest

from models.agent import Agent
from models.answering import answer
from models.base import database_time
from models.database import transaction
from models.task import Task
from models.user import User
from tests.stage import Stage
from tests.visitor import words


@pytest.fixture
def stage(app: flask.Flask) -> Stage:
    return Stage.enter(app)


def answered(stage: Stage) -> tuple[int, int, int]:
    """A question that scout answered: message, task, answer."""
    token = uuid.uuid4().hex
    with transaction() as session:
        Agent.subscribe(session, stage.scout_id, "laptop", token, None)
    posted = stage.post("What is left? Authorization: Bearer sy_abcdefghijklmnop")
    with transaction() as session:
        Task.sent(session, [(posted.tasks[0].id, token)])
    with transaction() as session:
        task = session.get_one(Task, posted.tasks[0].id)
        alice = session.get_one(User, stage.alice.id)
        given = (stage.topic_id, "Nothing.", task.id, task.generation, database_time(session), [], str)
        reply = answer(session, alice, *given).message.id
    return posted.message.id, posted.tasks[0].id, reply


def test_the_time_of_a_message_leads_to_its_trace(stage: Stage) -> None:
    message = stage.post("Find out why").message.id
    alice = stage.visitor(stage.alice)
    assert f'href="/trace?message={message}"' in alice.get(f"/topics/{stage.topic_id}").text
    assert "Alice wrote this." in alice.get(f"/trace?message={message}").text


def test_a_task_is_traced_from_the_question_to_the_answer(stage: Stage) -> None:
    message, task, reply = answered(stage)
    page = words(stage.visitor(stage.alice).get(f"/trace?task={task}"))
    for said in ("Alice wrote this.", "scout: Given to scout.", "scout: Its plugin has it.", "scout answered."):
        assert said in page
    assert f"message {message}" in page and f"task {task}" in page and f"message {reply}" in page
    assert page.index("scout answered.") < page.index("Alice wrote this.")  # newest first


def test_an_answer_leads_back_to_what_was_asked(stage: Stage) -> None:
    _, _, reply = answered(stage)
    page = words(stage.visitor(stage.alice).get(f"/trace?message={reply}"))
    assert "Alice wrote this." in page and "scout answered." in page


def test_the_text_is_oldest_first_and_holds_no_secret(stage: Stage) -> None:
    _, task, _ = answered(stage)
    text = stage.visitor(stage.alice).get(f"/trace.txt?task={task}").text
    assert text.index("Alice wrote this.") < text.index("scout answered.") and "generation=" in text
    assert "sy_abc" not in text


def test_what_is_not_shared_cannot_be_traced(stage: Stage) -> None:
    message, task, _ = answered(stage)
    mallory = stage.visitor(stage.mallory)
    for asked in (f"task={task}", f"message={message}"):
        assert mallory.get(f"/trace?{asked}").status_code == 404
        assert mallory.get(f"/trace.txt?{asked}").status_code == 404


@pytest.mark.parametrize("asked", ["", "task=x", "task=-1", "message=99999999999999999999"])
def test_without_an_id_it_asks_for_one(stage: Stage, asked: str) -> None:
    page = stage.visitor(stage.alice).get(f"/trace?{asked}")
    assert page.status_code == 200 and "Look one up" in words(page)


def test_a_tasks_page_leads_to_its_trace(stage: Stage) -> None:
    _, task, _ = answered(stage)
    assert f'href="/trace?task={task}"' in stage.visitor(stage.alice).get(f"/tasks/{task}").text
