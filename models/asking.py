"""An agent speaks without ending its turn: a notice, a tool's prompt, a question (the agent channel's notify).

Who may, is decided as for an answer; that, what is stored, and the parking happen under the topic's lock, so that a
turn that was just ended asks nothing any more.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from models.answering import GONE, NO_TOPIC, Speaker, speaker
from models.creative import Level
from models.errors import Forbidden, Invalid, NotFound
from models.markup import inert, verbatim
from models.message import Message, Source
from models.permission_request import PermissionRequest, Prompt
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import User


class Where(NamedTuple):
    """Where an agent speaks: the topic, and the task whose turn it is; None for a turn that was begun elsewhere."""

    topic_id: int
    task_id: int | None


class Asked(NamedTuple):
    """What was asked: the row, and the id of the message that shows it."""

    request: PermissionRequest
    message_id: int


def say(session: Session, user: User, where: Where, text: str) -> Message:
    """Stores a plain notice of the agent. Raises NotFound, Forbidden, Invalid (text); nothing is stored then."""
    topic, told = _locked(session, user, where)
    return topic.announce(session, told.agent, text, Source.NOTICE)


def ask_tool(session: Session, user: User, where: Where, prompt: Prompt, text: str, now: datetime) -> Asked:
    """Stores a tool's prompt; `text` is what people read of it. Raises as `say` does."""
    topic, told = _locked(session, user, where)
    return _ask(session, topic, told, prompt, text, inert, now)


def ask_question(session: Session, user: User, where: Where, prompt: Prompt, now: datetime) -> Asked:
    """Stores a question, verbatim; sent again while it is open, it is the one that waits.

    Raises as `say` does; Invalid names what is blank, or an approver who is no person that may read the topic.
    """
    topic, told = _locked(session, user, where)
    question = (prompt.question or "").strip()
    if not question:
        raise Invalid(approval_question="approval_question is blank: say what is to be decided.")
    approver = User.by_id(session, prompt.approver_id)
    if approver is None or not topic.creative(session).allows(session, approver, Level.READ):
        raise Invalid(approver_user_id="approver_user_id: there is no such person who may read this topic.")
    return _ask(session, topic, told, prompt, prompt.question or "", verbatim, now)


def _locked(session: Session, user: User, where: Where) -> tuple[Topic, Speaker]:
    """The topic under its lock, and who speaks there: asked before the lock, and again when it is held."""
    speaker(session, user, session.get(Topic, where.topic_id), where.task_id)
    topic = Topic.locked(session, where.topic_id)
    if topic is None:
        raise NotFound(NO_TOPIC)
    told = speaker(session, user, topic, where.task_id)
    if told.task is not None:
        [task] = Task.locked(session, [told.task.id])
        if task.status != TaskStatus.DELEGATED:
            raise Forbidden(GONE.format(id=task.id))
    return topic, told


def _ask(
    session: Session,
    topic: Topic,
    told: Speaker,
    prompt: Prompt,
    text: str,
    shown: Callable[[str], str],
    now: datetime,
) -> Asked:
    if not prompt.request_id.strip():
        raise Invalid(permission_request_id="permission_request_id is missing: give the id that the decision is for.")
    if len(prompt.request_id) > 255:
        raise Invalid(permission_request_id="Give a permission_request_id of at most 255 characters.")
    before = PermissionRequest.asked_before(session, prompt, told.agent.id, topic.id)
    if before is not None and before.message_id is not None:
        return Asked(before, before.message_id)
    message = topic.announce(session, told.agent, text, Source.PROMPT, shown)
    task_id = told.task.id if told.task else None
    request = PermissionRequest.ask(session, prompt, told.agent.id, topic.id, task_id, message.id)
    if told.task is not None:
        told.task.park(session, prompt.request_id, now)
    return Asked(request, message.id)
