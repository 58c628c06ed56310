"""Races round what agents ask: a decision against the end of its turn, a prompt against the end of its task."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from models import answering, asking, deciding, quota
from models.base import database_time
from models.database import repeated, transaction
from models.errors import Forbidden, Refusal
from models.permission_request import Kind, PermissionRequest, Prompt
from models.task import Task, TaskStatus
from tests.races import ROUNDS, Scene, at_once
from webapp.advance import advance_due_topics

OPEN_OF_ENDED = text(
    "SELECT p.id FROM permission_requests p JOIN tasks t ON t.id = p.task_id"
    " WHERE p.kind = 'tool' AND p.status = 'pending' AND t.finished_at IS NOT NULL"
)
GOING_ON = text("SELECT count(*) FROM tasks WHERE approval_request_id = :id")


@pytest.fixture(scope="module")
def scene(database_url: str) -> Scene:
    return Scene.enter(database_url)


@repeated
def ask(scene: Scene, task_id: int, kind: Kind, request_id: str) -> int:
    """The plugin asks; the id of the approval."""
    with transaction() as session:
        now, where = database_time(session), asking.Where(scene.topic_ids[0], task_id)
        prompt = Prompt(kind, request_id, scene.user.id, tool_name="Bash", question="Ship it?")
        if kind == Kind.QUESTION:
            return asking.ask_question(session, scene.user, where, prompt, now).request.id
        return asking.ask_tool(session, scene.user, where, prompt, "May I?", now).request.id


def answer(scene: Scene, task_id: int, generation: str | None, request_id: str) -> list[str]:
    """The plugin ends its turn; which questions the hub took over."""

    @repeated
    def store() -> list[str]:
        with transaction() as session:
            now, topic_id = database_time(session), scene.topic_ids[0]
            words: list[Any] = [task_id, generation, now, [request_id], str]
            return answering.answer(session, scene.user, topic_id, "done", *words).taken

    taken = store()
    advance_due_topics()
    return taken


@repeated
def decide(scene: Scene, id: int) -> bool:
    with transaction() as session:
        deciding.decide(session, scene.user, id, "allow", None, database_time(session), str)
        return True


@repeated
def rest(scene: Scene, task_id: int, generation: str | None) -> bool:
    with transaction() as session:
        quota.suspend(session, scene.user, task_id, "quota", generation, 60, database_time(session))
        return True


def count(query: Any, **values: Any) -> int:
    with transaction() as session:
        return session.execute(query, values).scalar_one()


def test_race_of_a_decision_against_the_end_of_its_turn(scene: Scene) -> None:
    for number in range(ROUNDS):
        scene.clear()
        scene.subscribe()
        task_id, request_id = scene.post(), f"approval-{number}"
        generation = scene.task(task_id).generation
        id = ask(scene, task_id, Kind.QUESTION, request_id)
        found = at_once(partial(answer, scene, task_id, generation, request_id), partial(decide, scene, id))
        scene.check()
        assert found == [[request_id], True]
        assert count(GOING_ON, id=request_id) == 1, "exactly one task tells of the decision"


def test_race_of_a_prompt_against_the_end_of_its_task(scene: Scene) -> None:
    for number in range(ROUNDS):
        scene.clear()
        scene.subscribe()
        task_id = scene.post()
        older = ask(scene, task_id, Kind.TOOL, f"old{number}")
        asked, *_ = at_once(
            partial(ask, scene, task_id, Kind.TOOL, f"new{number}"),
            partial(scene.cancel, task_id) if number % 2 else scene.unregister,
            partial(decide, scene, older),
            partial(scene.post, 0, "an answer"),
        )
        scene.check()
        assert isinstance(asked, int | Forbidden)
        with transaction() as session:
            assert session.execute(OPEN_OF_ENDED).scalars().all() == []
            assert session.get_one(Task, task_id).status == TaskStatus.CANCELLED


def test_race_of_a_rest_against_an_answer(scene: Scene) -> None:
    for number in range(ROUNDS):
        scene.clear()
        scene.subscribe()
        task_id = scene.post()
        generation = scene.task(task_id).generation
        ask(scene, task_id, Kind.TOOL, f"id{number}")
        rested, answered = at_once(
            partial(rest, scene, task_id, generation), partial(answer, scene, task_id, generation, "none")
        )
        scene.check()
        assert isinstance(rested, Refusal) != isinstance(answered, Refusal)
        assert scene.task(task_id).status == (TaskStatus.SUSPENDED if rested is True else TaskStatus.DONE)
        with transaction() as session:
            assert session.query(PermissionRequest).filter_by(task_id=task_id, status="pending").count() == 0
