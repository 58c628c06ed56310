"""A person did something: a line of activity in the transaction that did it, with who it was and from where."""

from typing import Any

import flask
from flask_login import current_user
from sqlalchemy import event as events
from sqlalchemy.orm import Session

from models.activity import HUB, Activity, ActivityKind
from models.agent import Agent
from models.task import Task
from models.user import User
from webapp.auth import address

# What was done with a task, by the word of it in the log.
DID = {
    "cancelled": "cancelled a task of {}.",
    "retried": "ran a task of {} again.",
    "reassigned": "handed a task to {}.",
}


def acted_on(session: Session, user: User, task: Task, did: str) -> None:
    """Records what a person did with a task, which is `cancelled`, `retried` or `reassigned` by now."""
    about = {"task_id": task.id, "topic_id": task.topic_id, "agent_id": task.agent_id}
    agent = session.get_one(Agent, task.agent_id)
    acted(session, user, f"task_{did}", DID[did].format(agent.handle), **about)


def acted(session: Session, user: User, event: str, text: str, **about: Any) -> None:
    """Records an act of this request; `text` is a whole sentence without the person's name in front of it.

    `event` is the word that scripts filter by; `about` are columns of `Activity` (topic_id, task_id, agent_id ...).
    """
    Activity.record(
        session,
        ActivityKind.PERSON,
        event,
        f"{user.name} {text}",
        actor=user.name,
        user_id=user.id,
        address=address()[:64],
        **about,
    )


@events.listens_for(Activity, "before_insert")
def from_where(_mapper: Any, _connection: Any, line: Activity) -> None:
    """A line that a noun wrote of what the person of this request did (gateways, seats) says who, and from where."""
    user = asking() if line.actor != HUB and flask.has_request_context() else None
    if user is None or user.name[:120] != line.actor or line.user_id not in (None, user.id):
        return
    line.user_id, line.address = user.id, line.address or address()[:64]


def asking() -> User | None:
    """Who asks, if the door has looked already."""
    if "access_token" in flask.g:
        return flask.g.access_token.user
    return current_user.user if "_login_user" in flask.g and current_user.is_authenticated else None
