"""What came of one message, or of one task: every step that left a row, oldest first, each with its time and ids.

said -> given to agents -> what happened to each task -> what was asked of people -> answered -> the run it came from
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, tuple_
from sqlalchemy.orm import Session

from models import inbox
from models.agent import Agent
from models.creative import Creative
from models.errors import NotFound
from models.gateway import Gateway
from models.message import Message
from models.permission_request import PermissionRequest
from models.processed_run import ProcessedRun
from models.reading import messages_by_id
from models.running_answer import RunningAnswer
from models.task import Task, TaskMessage
from models.task_event import TaskEvent
from models.topic import Topic
from models.user import User

MOST_TASKS = 50
MOST_EVENTS = 500


@dataclass(frozen=True)
class Step:
    """One thing that happened. `facts` are ids for those who search: {"task": 91, "run": "..."}."""

    at: datetime
    event: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """All steps of one message and the tasks it was given to, in their order; where it was said."""

    topic: Topic
    message_ids: list[int]
    task_ids: list[int]
    steps: list[Step]


def of_message(session: Session, user: User, id: int) -> Trace:
    """What came of a message, and, of an answer, what led to it. Raises NotFound."""
    message = session.scalars(select(Message).where(Message.id == id, _readable(user))).first()
    if message is None:
        raise NotFound("There is no such message, or its topic is not shared with you.")
    carried = select(TaskMessage.task_id).where(TaskMessage.message_id == id)
    ids = set(session.scalars(carried.limit(MOST_TASKS)))
    if message.task_id is not None:
        ids.add(message.task_id)
    return _trace(session, message.topic_id, {id}, ids)


def of_task(session: Session, user: User, id: int) -> Trace:
    """What came of a task. Raises NotFound."""
    topics = select(Topic.id).where(Topic.creative_id.in_(Creative.readable_by(user.id)))
    found = session.scalars(select(Task).where(Task.id == id, Task.topic_id.in_(topics))).first()
    if found is None:
        raise NotFound("There is no such task, or its topic is not shared with you.")
    return _trace(session, found.topic_id, set(), {id})


def _readable(user: User) -> Any:
    return Message.topic_id.in_(select(Topic.id).where(Topic.creative_id.in_(Creative.readable_by(user.id))))


def _trace(session: Session, topic_id: int, messages: set[int], tasks: set[int]) -> Trace:
    work = _tasks(session, tasks)
    messages = {*messages, *session.scalars(select(TaskMessage.message_id).where(TaskMessage.task_id.in_(tasks)))}
    answers = {row.reply_message_id for row in work if row.reply_message_id is not None}
    said = messages_by_id(session, sorted({*messages, *answers}))
    steps = [
        *(_said(row, row.id in answers) for row in said.values()),
        *(_happened(row, work) for row in _events(session, tasks)),
        *_asked(session, tasks),
        *_runs(session, said.values(), work),
        *_under_way(session, tasks),
    ]
    order = {"said": 0, "queued": 1}
    steps.sort(key=lambda step: (step.at, order.get(step.event, 2)))
    return Trace(session.get_one(Topic, topic_id), sorted(said), sorted(tasks), steps)


def _tasks(session: Session, ids: Collection[int]) -> list[Row[Any]]:
    columns = (Task.id, Task.status, Task.generation, Task.sent_to, Task.sent_session_id, Task.run_id)
    more = (Task.session_key, Task.gateway_id, Task.gateway_agent_id, Task.reply_message_id, Agent.handle)
    query = select(*columns, *more).join(Agent, Agent.id == Task.agent_id).where(Task.id.in_(ids))
    return list(session.execute(query.order_by(Task.id)))


def _events(session: Session, ids: Collection[int]) -> list[Row[Any]]:
    columns = (TaskEvent.id, TaskEvent.task_id, TaskEvent.at, TaskEvent.event, TaskEvent.text, TaskEvent.actor)
    query = select(*columns).where(TaskEvent.task_id.in_(ids)).order_by(TaskEvent.id)
    return list(session.execute(query.limit(MOST_EVENTS)))


def _said(row: Row[Any], answer: bool) -> Step:
    name = row.author_short or "Switchyard"
    facts = {"message": row.id, "task": row.task_id, "run": row.run_id, "gateway": row.gateway_id}
    words = f"{name} answered." if answer else f"{name} wrote this."
    if row.source == "proactive":
        words = f"{name} said this unasked."
    why = {} if row.why is None or answer else {"why": row.why}
    return Step(row.created_at, "said", words, {**_known(facts), **why})


def _happened(row: Row[Any], work: list[Row[Any]]) -> Step:
    task = next(task for task in work if task.id == row.task_id)
    facts: dict[str, Any] = {"task": row.task_id}
    if row.event in ("delegated", "sent", "repeated", "claimed"):
        facts |= {"session": task.sent_session_id, "run": task.run_id, "key": task.session_key}
    if row.event in ("delegated", "repeated") and task.generation:
        facts["generation"] = task.generation
    words = row.text if row.actor in ("hub", task.handle) else f"{row.text} (by {row.actor})"
    return Step(row.at, row.event, f"{task.handle}: {words}", _known(facts))


def _asked(session: Session, ids: Collection[int]) -> list[Step]:
    rows = session.execute(inbox.asked(None, False).where(PermissionRequest.task_id.in_(ids))).all()
    steps = []
    for row in rows:
        facts = {"approval": row.id, "task": row.task_id, "tool": row.tool_name}
        steps.append(Step(row.created_at, "asked", f"{row.agent_short} asked a person.", _known(facts)))
        if row.decided_at is not None:
            words = f"{row.decider_name} decided: {row.behavior}."
            steps.append(Step(row.decided_at, "decided", words, {"approval": row.id}))
    return steps


def _runs(session: Session, said: Collection[Row[Any]], work: list[Row[Any]]) -> list[Step]:
    wanted = {(row.gateway_id, row.run_id) for row in [*said, *work] if row.gateway_id and row.run_id}
    if not wanted:
        return []
    key = tuple_(ProcessedRun.gateway_id, ProcessedRun.run_id)
    query = select(ProcessedRun, Gateway.name).join(Gateway, Gateway.id == ProcessedRun.gateway_id)
    steps = []
    for run, name in session.execute(query.where(key.in_(sorted(wanted)))):
        facts = {"run": run.run_id, "gateway": run.gateway_id, "source": run.source, "message": run.message_id}
        steps.append(Step(run.at, "run_ended", f"The run on {name} ended: {run.state}.", _known(facts)))
    return steps


def _under_way(session: Session, ids: Collection[int]) -> list[Step]:
    length = func.length(RunningAnswer.text).label("length")
    columns = (RunningAnswer.run_id, RunningAnswer.task_id, RunningAnswer.updated_at, RunningAnswer.revision, length)
    query = select(*columns).where(RunningAnswer.task_id.in_(ids))
    return [
        Step(
            row.updated_at,
            "buffered",
            f"{row.length:,} characters of the answer are here so far.",
            {"task": row.task_id, "run": row.run_id, "revision": row.revision},
        )
        for row in session.execute(query)
    ]


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
