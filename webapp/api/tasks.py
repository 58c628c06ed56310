"""Work given to agents: to look at, to end, to give once more."""

from typing import Any

import msgspec

from models import listing
from models.creative import Level
from models.errors import NotFound
from models.task import Task, TaskStatus
from models.topic import Topic
from webapp.acting import acted_on
from webapp.api import objects
from webapp.api.door import Ask, Calls
from webapp.api.fields import After, Id, Limit
from webapp.api.topics import locked

calls = Calls.named("tasks")


class TasksAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which tasks: of one status, agent or topic."""

    limit: Limit = 50
    after: After | None = None
    status: TaskStatus | None = None
    agent_id: Id | None = None
    topic_id: Id | None = None


class NewAssignee(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to take it."""

    agent_id: Id


@calls.call("GET", "/tasks", takes=TasksAsked, gives=objects.Tasks)
def list_tasks(ask: Ask[TasksAsked]) -> objects.Tasks:
    """The tasks of topics the person may read, by status, agent or topic."""
    given, query = ask.given, listing.tasks(ask.user)
    for column, wanted in (
        (Task.status, given.status),
        (Task.agent_id, given.agent_id),
        (Task.topic_id, given.topic_id),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    rows, more = listing.page(ask.session, query, Task.id, given.limit, given.after)
    events = listing.timelines(ask.session, [row.id for row in rows])
    return objects.Tasks([objects.task(row, events.get(row.id, [])) for row in rows], more)


@calls.call("GET", "/tasks/<int:task_id>", gives=objects.Task)
def show_task(ask: Ask[None], task_id: int) -> objects.Task:
    """One task, with its timeline."""
    return _shown(ask, task_id)


@calls.call("POST", "/tasks/<int:task_id>/cancel", gives=objects.Task, advances=True)
def cancel(ask: Ask[None], task_id: int) -> objects.Task:
    """Ends an open task; an answer that still comes is refused. Needs the right feedback."""
    topic, task = _locked(ask, task_id)
    topic.cancel(ask.session, task, ask.user.name, ask.now)
    acted_on(ask.session, ask.user, task, "cancelled")
    return _shown(ask, task_id)


@calls.call("POST", "/tasks/<int:task_id>/retry", gives=objects.Task, advances=True)
def retry(ask: Ask[None], task_id: int) -> objects.Task:
    """Gives a failed or cancelled task to its agent once more. Needs the right feedback."""
    topic, task = _locked(ask, task_id)
    topic.retry(ask.session, task, ask.user.name, ask.now)
    acted_on(ask.session, ask.user, task, "retried")
    return _shown(ask, task_id)


@calls.call("POST", "/tasks/<int:task_id>/reassign", takes=NewAssignee, gives=objects.Task, advances=True)
def reassign(ask: Ask[NewAssignee], task_id: int) -> objects.Task:
    """Gives a task that waits, failed or was cancelled to another agent. Needs the right feedback."""
    topic, task = _locked(ask, task_id)
    topic.reassign(ask.session, task, ask.given.agent_id, ask.user.name, ask.now)
    acted_on(ask.session, ask.user, task, "reassigned")
    return _shown(ask, task_id)


def _locked(ask: Ask[Any], task_id: int) -> tuple[Topic, Task]:
    """The task, looked up through the person, and its topic under its lock."""
    row = ask.session.execute(listing.tasks(ask.user).where(Task.id == task_id)).first()
    if row is None:
        raise _gone()
    topic = locked(ask, row.topic_id, Level.FEEDBACK)
    return topic, ask.session.get_one(Task, task_id)


def _shown(ask: Ask[Any], task_id: int) -> objects.Task:
    row = ask.session.execute(listing.tasks(ask.user).where(Task.id == task_id)).first()
    if row is None:
        raise _gone()
    return objects.task(row, listing.timelines(ask.session, [task_id]).get(task_id, []))


def _gone() -> NotFound:
    return NotFound("There is no such task, or its topic is not shared with you.")
