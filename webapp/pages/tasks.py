"""Work given to agents: the list, one task with its timeline, and what a person decides about it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import flask
from sqlalchemy.orm import Session

from models import database, overview, reading
from models.agent import Agent
from models.base import database_time
from models.creative import Level
from models.database import transaction
from models.errors import Invalid, NotFound
from models.task import OPEN, Task, TaskStatus
from models.topic import Topic
from models.user import User
from webapp import fragments, words
from webapp.acting import acted_on
from webapp.advance import advance_due_topics
from webapp.auth import local_path, person, signed_in
from webapp.pages import shell, timeline, work
from webapp.pages.forms import Form, answer

PAGE = 50
STREAM = "text/vnd.turbo-stream.html"
TABS = (("", "Open"), ("done", "Done"), ("failed", "Failed"), ("cancelled", "Cancelled"))
ENDED_BADLY = (TaskStatus.FAILED, TaskStatus.CANCELLED)

Verb = Callable[[Session, Topic, Task, str, datetime], Any]

blueprint = flask.Blueprint("tasks", __name__)


# -- the list --------------------------------------------------------------------------------------------------------


@blueprint.get("/tasks")
@signed_in
def index() -> flask.Response:
    """Open ones; `?status=` those in one state, `?before=<id>` those further back."""
    user, status = person(), flask.request.args.get("status", "")
    status = status if status in list(TaskStatus) else ""
    before = flask.request.args.get("before", "")
    last = int(before) if before.isdecimal() and len(before) < 16 else None
    with database.reading() as session:
        rows = overview.tasks_of(session, user.id, status or None, PAGE + 1, last)
    kept = f"status={status}&" if status else ""
    tasks = [work.shown(row) for row in rows[:PAGE]]
    return answer(
        "tasks/tasks.html",
        lead=lead(tasks, len(rows) > PAGE) if not status else None,
        tasks=tasks,
        tabs=[tab(name, label, status) for name, label in TABS],
        next=f"/tasks?{kept}before={rows[PAGE - 1].id}" if len(rows) > PAGE else None,
        only=status,
        streams=shell.streams(user, "hub"),
        refresh_on="tasks presence rights",
    )


def tab(name: str, label: str, status: str) -> dict[str, Any]:
    """One of the tabs above the list."""
    return {"href": f"/tasks?status={name}" if name else "/tasks", "label": label, "current": name == status}


def lead(tasks: list[dict[str, Any]], more: bool) -> str:
    """How many are worked on, and how many wait."""
    if more:
        return f"More than {PAGE} are open."
    if not tasks:
        return "None is open."
    waiting = sum(1 for task in tasks if task["lamp"]["state"] == "waiting")
    if waiting == 0:
        return words.plural(len(tasks), "One is open, and worked on.", "{Word} are open, and worked on.")
    first = words.plural(len(tasks), "One is open.", "{Word} are open.")
    return f"{first} {words.plural(waiting, 'One waits.', '{Word} wait.')}"


# -- one task --------------------------------------------------------------------------------------------------------


@blueprint.get("/tasks/<int:id>")
@signed_in
def show(id: int) -> flask.Response:
    """What was asked, where it stands, and all that happened to it, newest first."""
    return page(id)


def page(id: int, form: Form | None = None, status: int = 200) -> flask.Response:
    """The page of one task; `form` is the refused one that hands it to another agent."""
    user = person()
    with database.reading() as session:
        row = overview.task(session, user.id, id)
        if row is None:
            raise gone()
        may_act = Topic.seen_by(session, user, row.topic_id).creative(session).allows(session, user, Level.FEEDBACK)
        asked = reading.carried_by(session, id)
        events = session.get_one(Task, id).timeline(session)
        agents = others(session, row) if may_act and row.status in (TaskStatus.QUEUED, *ENDED_BADLY) else []
        messages = [fragments.as_said(one, alone=True, bare=True) for one in asked]
    return answer(
        "tasks/task.html",
        status,
        task={**work.shown(row), "lamp": work.lamp_in_full(row)},
        why=row.why,
        asker=row.asker,
        asked_at=row.created_at,
        asked=messages,
        place=f"/topics/{row.topic_id}?around={row.message_id}#message-{row.message_id}" if row.message_id else None,
        reply=row.reply_message_id,
        events=timeline.shown(events),
        may_cancel=may_act and row.status in OPEN,
        may_retry=may_act and row.status in ENDED_BADLY,
        agents=agents,
        form=form or Form(agent_id=""),
        streams=shell.streams(user, f"topic:{row.topic_id}"),
        refresh_on="task rights",
    )


def others(session: Session, row: Any) -> list[tuple[str, str]]:
    """The other agents that may take it, as options."""
    usable = session.scalars(Agent.usable_in(session.get_one(Topic, row.topic_id).creative_id))
    return [(str(agent.id), agent.handle) for agent in usable if agent.id != row.agent_id]


def gone() -> NotFound:
    """Whether it never was or is not shared is not told."""
    return NotFound("There is no such task, or its topic is not shared with you.")


# -- what a person decides -------------------------------------------------------------------------------------------


@blueprint.post("/tasks/<int:id>/cancel")
@signed_in
def cancel(id: int) -> flask.Response:
    """Ends an open task."""
    return decided(id, "cancelled", lambda session, topic, task, by, now: topic.cancel(session, task, by, now))


@blueprint.post("/tasks/<int:id>/retry")
@signed_in
def retry(id: int) -> flask.Response:
    """Gives a failed or cancelled task to its agent once more."""
    return decided(id, "retried", lambda session, topic, task, by, now: topic.retry(session, task, by, now))


@blueprint.post("/tasks/<int:id>/reassign")
@signed_in
def reassign(id: int) -> flask.Response:
    """Gives a task that waits or came to nothing to another agent."""
    form = Form.posted("agent_id")
    agent_id = int(form["agent_id"]) if form["agent_id"].isdecimal() and len(form["agent_id"]) < 16 else 0
    try:
        return decided(
            id, "reassigned", lambda session, topic, task, by, now: topic.reassign(session, task, agent_id, by, now)
        )
    except Invalid as refusal:
        return page(id, form.refused(refusal), 422)


def decided(id: int, did: str, verb: Verb) -> flask.Response:
    """Carries it out under the topic's lock, then lets go what may go; back to where the person was.

    `did` is the word of it in the log of activity.
    """
    user = person()
    with transaction() as session:
        topic, task = locked(session, user, id)
        verb(session, topic, task, user.name, database_time(session))
        acted_on(session, user, task, did)
    advance_due_topics()
    back = came_from()
    if back.startswith("/topics/") and STREAM in flask.request.headers.get("Accept", ""):
        return fragment(id)
    return flask.make_response(flask.redirect(back or flask.url_for("tasks.show", id=id), 303))


def locked(session: Session, user: User, id: int) -> tuple[Topic, Task]:
    """The task, looked up through the person, and its topic under its lock. Raises NotFound or Forbidden."""
    row = overview.task(session, user.id, id)
    if row is None:
        raise gone()
    topic = Topic.locked(session, row.topic_id)
    if topic is None:
        raise gone()
    topic.creative(session).require(session, user, Level.FEEDBACK)
    return topic, session.get_one(Task, id)


def came_from() -> str:
    """The page of this hub on which the button was pressed, "" when unknown."""
    referrer = urlsplit(flask.request.referrer or "")
    path = referrer.path
    if referrer.netloc != flask.request.host or local_path(path) != path:
        return ""
    return path if path == "/" or path.startswith(("/topics/", "/tasks", "/agents/", "/approvals")) else ""


def fragment(id: int) -> flask.Response:
    """What changed in the open topic."""
    with transaction() as session:
        rows = reading.carried_by(session, id)
        on_them = reading.work_on(session, [row.id for row in rows])
    changed = fragments.work((list(rows), list(on_them)))
    return flask.make_response(changed, 200, {"Content-Type": f"{STREAM}; charset=utf-8"})
