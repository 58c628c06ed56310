"""An agent ran into its usage limit: its task is put aside, its place is free, and it goes on when it is time."""

import hmac
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.agent import Agent
from models.creative import Level
from models.errors import Conflict, Invalid, NotFound
from models.task import SuspendedFor, Task, TaskStatus
from models.topic import Topic
from models.user import User

FIRST_REST = timedelta(minutes=1)  # doubled each time in a row that the agent says no time itself
LONGEST_REST = timedelta(hours=1)
LONGEST_WAIT = timedelta(days=7)
NO_TASK = "There is no such task of a plugin of yours."
OVER = "That attempt is over: the task was answered, ended or given out again."


class Place(NamedTuple):
    """A task that waits for the end of a usage limit, and its topic."""

    task_id: int
    topic_id: int


def suspend(
    session: Session,
    user: User,
    task_id: int,
    reason: str,
    generation: str | None,
    retry_after: float | None,
    now: datetime,
) -> datetime:
    """Puts a task aside and says until when; a second time changes nothing.

    Raises NotFound, Invalid (reason) or Conflict, in the order of the agent channel; decided under the locks of agent
    and task. `retry_after` is in seconds, None when the agent does not know.
    """
    if session.get(Task, task_id) is None:
        raise NotFound(NO_TASK)
    if reason != SuspendedFor.QUOTA:
        raise Invalid(reason="reason: only quota is known here.")
    agent_id = _owned(session, user, task_id).agent_id
    [agent] = Agent.locked(session, agent_id)
    [task] = Task.locked(session, [task_id])
    if not _is_attempt(task, generation) or task.agent_id != agent_id:
        raise Conflict(OVER)
    if task.status == TaskStatus.SUSPENDED and task.suspended_for == SuspendedFor.QUOTA and task.until is not None:
        return task.until
    if task.status != TaskStatus.DELEGATED:
        raise Conflict(OVER)
    until = now + _rest(agent.quota_retries, retry_after)
    agent.quota_retries += 1
    task.suspend(session, SuspendedFor.QUOTA, f"{agent.handle} has reached its usage limit.", until)
    Task.mark_due(session, now, agent_id=agent.id, topic_ids=[task.topic_id])
    return until


def is_current(session: Session, user: User, task_id: int, generation: str | None) -> bool:
    """Whether this attempt of the task is still being worked on. Raises NotFound."""
    task = _owned(session, user, task_id)
    return task.status == TaskStatus.DELEGATED and _is_attempt(task, generation)


def over(session: Session, now: datetime, limit: int = 100) -> list[Place]:
    """What may go on, longest due first."""
    rested = (Task.status == TaskStatus.SUSPENDED, Task.suspended_for == SuspendedFor.QUOTA, Task.until <= now)
    query = select(Task.id, Task.topic_id).where(*rested).order_by(Task.until).limit(limit)
    return [Place(id, topic_id) for id, topic_id in session.execute(query)]


def resume(session: Session, place: Place, now: datetime) -> bool:
    """Puts a task that has rested back into its queue, and lets it go if it can; says whether it did the first."""
    topic = Topic.locked(session, place.topic_id)
    task = session.get(Task, place.task_id)
    if topic is None or task is None:
        return False
    agents = topic.lock_agents(session, task.agent_id)
    [task] = Task.locked(session, [task.id])
    rested = task.suspended_for == SuspendedFor.QUOTA and task.until is not None and task.until <= now
    if task.status != TaskStatus.SUSPENDED or not rested or task.agent_id not in agents:
        return False
    task.wait(session, "The usage limit is over: waits for its turn.")
    topic.advance_among(session, agents, now)
    return True


def _owned(session: Session, user: User, task_id: int) -> Task:
    """The task, if its agent is this person's plugin, and the person may still give feedback where it is."""
    task = session.get(Task, task_id)
    agent = None if task is None else Agent.owned_by(session, user.id, task.agent_id)
    if task is None or agent is None or not agent.is_channel_agent:
        raise NotFound(NO_TASK)
    creative = session.get_one(Topic, task.topic_id).creative(session)
    if not creative.allows(session, user, Level.FEEDBACK):
        raise NotFound(NO_TASK)
    return task


def _is_attempt(task: Task, generation: str | None) -> bool:
    given, known = (generation or "").encode(), (task.generation or "").encode()
    return bool(given) and bool(known) and hmac.compare_digest(given, known)


def _rest(retries: int, retry_after: float | None) -> timedelta:
    if retry_after is not None:
        return min(timedelta(seconds=retry_after), LONGEST_WAIT)
    return min(FIRST_REST * 2 ** min(retries, 10), LONGEST_REST)
