"""The last net: what lost its session, what no socket took, what has been out for a day."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from models import stuck
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.task import Task, TaskStatus
from tests.cast import Cast


@pytest.fixture
def task(cast: Cast) -> Task:
    """Given to a live session whose socket took it."""
    [given] = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks
    if given.status == TaskStatus.QUEUED:
        cast.connect()
        cast.topic.advance(cast.session, cast.now)
    Task.sent(cast.session, [(given.id, str(given.sent_to))])
    cast.session.refresh(given)
    return given


def look(cast: Cast) -> int:
    ids = stuck.agents_to_look_after(cast.session, cast.now)
    return sum(stuck.look_after(cast.session, agent, cast.now) for agent in Agent.locked(cast.session, *ids))


def test_work_that_goes_on_is_left_alone(cast: Cast, task: Task) -> None:
    assert look(cast) == 0 and task.status == TaskStatus.DELEGATED


def test_work_whose_session_left_no_trace_gets_a_full_grace_window(cast: Cast, task: Task) -> None:
    cast.session.execute(delete(AgentSubscription))
    assert look(cast) == 1
    [row] = AgentSubscription.of(cast.session, cast.scout.id)
    assert (row.token, row.session_id, row.dropped_at) == (task.sent_to, "laptop", cast.now)
    assert task.status == TaskStatus.DELEGATED and AgentSubscription.ended(cast.session, cast.now) == []
    assert look(cast) == 0
    [agent] = Agent.locked(cast.session, cast.scout.id)
    agent.end_grace(cast.session, row, cast.now)
    assert task.status == TaskStatus.CANCELLED


def test_its_session_that_is_there_again_goes_on_without_a_second_dispatch(cast: Cast, task: Task) -> None:
    newer = "f" * 32
    cast.session.execute(update(AgentSubscription).values(token=newer))
    sends = task.sends
    assert look(cast) == 1
    assert (task.sent_to, task.sends) == (newer, sends)


def test_what_no_socket_took_within_a_minute_is_sent_again(cast: Cast, task: Task) -> None:
    generation, sends = task.generation, task.sends
    cast.session.execute(update(Task).values(sent_at=None, aimed_at=cast.now - timedelta(seconds=61)))
    assert look(cast) == 1
    cast.session.refresh(task)
    assert (task.sends, task.generation) == (sends + 1, generation)
    assert task.timeline(cast.session)[-1].event == "repeated"
    assert look(cast) == 0


def test_what_has_been_out_for_a_day_says_so_and_goes_on(cast: Cast, task: Task) -> None:
    cast.session.execute(update(Task).values(sent_at=cast.now - timedelta(hours=25)))
    assert (look(cast), look(cast)) == (1, 0)
    cast.session.refresh(task)
    assert task.status == TaskStatus.DELEGATED and "more than 24 hours ago" in (task.why or "")
