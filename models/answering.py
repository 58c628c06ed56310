"""An agent speaks through its plugin: who may, where, as whom. The checks of the agent channel, in its order."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from models.agent import Agent
from models.creative import Level
from models.deciding import Words, go_on
from models.errors import Forbidden, NotFound
from models.message import Message
from models.permission_request import PermissionRequest
from models.prepared import prepared
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import User

NO_TOPIC = "topic_id: there is no such topic."
GONE = "task_id: no task {id} waits here for an answer of an agent of yours. It was answered, cancelled or given on."
NOT_YOURS = "The agent of this topic is no plugin of yours. Send the task_id of the dispatch that you answer."


class Answered(NamedTuple):
    """What became of an answer: the message, and the ids of the open questions that the hub has taken over."""

    message: Message
    taken: list[str]


class Speaker(NamedTuple):
    """The agent that speaks, and the task that gives it the right to; None when the topic is its own."""

    agent: Agent
    task: Task | None


def speaker(session: Session, user: User, topic: Topic | None, task_id: int | None) -> Speaker:
    """Who speaks when this person's plugin does. A task that is gone never falls back to the topic's own agent.

    Raises NotFound (topic) or Forbidden (no feedback here, no such task, not this person's plugin).
    """
    if topic is None:
        raise NotFound(NO_TOPIC)
    topic.creative(session).require(session, user, Level.FEEDBACK)
    if task_id is None:
        agent = _plugin_of(session, user, topic.primary_agent_id)
        if agent is None:
            raise Forbidden(NOT_YOURS)
        return Speaker(agent, None)
    task = session.scalars(*_delegated(task_id, topic.id)).first()
    agent = None if task is None else _plugin_of(session, user, task.agent_id)
    if agent is None:
        raise Forbidden(GONE.format(id=task_id))
    return Speaker(agent, task)


def answer(
    session: Session,
    user: User,
    topic_id: int,
    text: str,
    task_id: int | None,
    generation: str | None,
    now: datetime,
    asked: Sequence[str],
    words: Words,
) -> Answered:
    """Stores a plugin's answer. `asked` are the ids of its questions that are open; `words`: `models.deciding`.

    1. Who may not speak is refused without a lock.
    2. Lock the topic; the right is asked for again. What was ended since the first look is a LostRace.
    3. Without a task_id the oldest task given to the agent here is answered, if there is one.
    4. Questions of this very task are taken over: whichever is decided, now or later, goes on with a new task.
    """
    seen = session.get(Topic, topic_id)
    agent, task = speaker(session, user, seen, task_id)
    topic = Topic.locked(session, topic_id)
    if topic is None:
        raise NotFound(NO_TOPIC)
    topic.creative(session).require(session, user, Level.FEEDBACK)
    if task is None and topic.primary_agent_id != agent.id:
        raise Forbidden(NOT_YOURS)
    if agent.quota_retries:
        [agent] = Agent.locked(session, agent.id)
        agent.quota_retries = 0
    task = task or topic.delegated_task(session, agent.id)
    message = topic.reply(session, agent, text, task, generation, now)
    taken = PermissionRequest.take_over(session, task.id, asked, now) if task else []
    for request in taken:
        go_on(session, topic, request, words, now)
    return Answered(message, list(dict.fromkeys(request.request_id for request in taken)))


def _plugin_of(session: Session, user: User, agent_id: int | None) -> Agent | None:
    agent = None if agent_id is None else Agent.owned_by(session, user.id, agent_id)
    return agent if agent is not None and agent.is_channel_agent else None


@prepared
def _delegated(id: int, topic_id: int) -> Select[Task]:
    return select(Task).where(Task.id == id, Task.topic_id == topic_id, Task.status == TaskStatus.DELEGATED)
