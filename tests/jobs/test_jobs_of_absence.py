"""What is swept while an agent is away, over the real database: one transaction an agent or a topic."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

import flask
import pytest
from sqlalchemy import select

from jobs.advance_topics import advance_topics
from jobs.cancel_kept_tasks import cancel_kept_tasks
from jobs.cancel_stuck_tasks import cancel_stuck_tasks
from jobs.end_grace_windows import end_grace_windows
from jobs.tell_absences import tell_absences
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.base import database_time
from models.database import transaction
from models.message import Message, Source
from models.task import Task, TaskStatus
from tests.stage import Stage


@pytest.fixture
def stage(app: flask.Flask) -> Iterator[Stage]:
    stage = Stage.enter(app)
    yield stage
    stage.away()


def now() -> datetime:
    with transaction() as session:
        return database_time(session)


def status(task_id: int) -> str:
    with transaction() as session:
        return session.get_one(Task, task_id).status


def said(stage: Stage) -> list[str]:
    with transaction() as session:
        mine = select(Message.text).where(Message.topic_id == stage.topic_id, Message.source == Source.NOTICE)
        return list(session.scalars(mine.order_by(Message.id)))


def dropped(stage: Stage, keep_seconds: int = 0) -> int:
    """A task whose session was lost."""
    with transaction() as session:
        session.get_one(Agent, stage.scout_id).keep_seconds = keep_seconds
    token = stage.connect()
    [task] = stage.post(f"work {uuid.uuid4().hex[:6]}").tasks
    stage.disconnect(token)
    return task.id


def test_a_drop_is_told_once_and_the_return_says_what_was_cancelled(stage: Stage) -> None:
    task = dropped(stage)
    later = now() + timedelta(seconds=20)
    assert (tell_absences(later), tell_absences(later)) == (1, 0)
    assert end_grace_windows(now() + timedelta(seconds=31)) == 1 and status(task) == TaskStatus.CANCELLED
    stage.connect()
    advance_topics(now())
    assert [words.split(".")[0] for words in said(stage)] == ["scout is not connected", "scout is back"]


def test_what_is_kept_too_long_is_cancelled_and_told_on_return(stage: Stage) -> None:
    task = dropped(stage, keep_seconds=60)
    over = now() + timedelta(seconds=31)
    end_grace_windows(over)
    assert status(task) == TaskStatus.SUSPENDED
    assert (cancel_kept_tasks(over), cancel_kept_tasks(over + timedelta(seconds=61))) == (0, 1)
    assert status(task) == TaskStatus.CANCELLED
    stage.connect()
    assert said(stage)[-1].startswith("scout is back.")


def test_a_crash_without_any_row_starts_the_same_full_window(stage: Stage) -> None:
    task = dropped(stage)
    stage.away()
    assert cancel_stuck_tasks(now()) == 1
    with transaction() as session:
        [row] = AgentSubscription.of(session, stage.scout_id)
        assert row.dropped_at is not None
    assert end_grace_windows(now()) == 0 and status(task) == TaskStatus.DELEGATED
    assert end_grace_windows(now() + timedelta(seconds=31)) == 1 and status(task) == TaskStatus.CANCELLED


def test_a_task_that_waits_to_be_told_survives_a_crash_of_the_door(stage: Stage) -> None:
    dropped(stage)
    end_grace_windows(now() + timedelta(seconds=31))
    with transaction() as session:  # a subscribe whose process died before it advanced anything
        Agent.subscribe(session, stage.scout_id, "laptop", uuid.uuid4().hex, None)
    advance_topics(now())
    assert said(stage)[-1].startswith("scout is back.")
    with transaction() as session:
        untold = select(Task.id).where(Task.topic_id == stage.topic_id, Task.untold_at.is_not(None))
        assert session.scalars(untold).all() == []
