"""A person decides, and what follows: a question whose turn has ended goes on with a new task, once.

Under the topic's lock, so that an answer that is just being stored is seen whole or not at all. What the agent is told
is put into words by the doors (`Words`): the models know one language.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import exec_approvals
from models.agent import Agent
from models.errors import NotFound
from models.markup import inert
from models.message import Source
from models.permission_request import Kind, PermissionRequest
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import User

Words = Callable[[PermissionRequest], str]

NO_REQUEST = "There is no such approval, or its topic is not shared with you."


def seen_by(session: Session, user: User, id: int) -> PermissionRequest:
    """The request, looked up through the person who asks. Raises NotFound."""
    found = session.scalars(PermissionRequest.visible_to(user).where(PermissionRequest.id == id)).first()
    if found is None:
        raise NotFound(NO_REQUEST)
    return found


def decide(
    session: Session, user: User, id: int, behavior: str, reason: str | None, now: datetime, words: Words
) -> PermissionRequest:
    """Stores the decision of a person; the first one stands. Topics may become due by it: advance them afterwards.

    Raises NotFound, and what `PermissionRequest.decide` raises.
    """
    request = seen_by(session, user, id)
    if request.kind != Kind.QUESTION:
        request.decide(session, user, behavior, reason, now)
        if request.kind == Kind.EXEC and request.gateway_id is not None:
            exec_approvals.tell(session, request, now)
        return request
    topic = Topic.locked(session, request.topic_id)
    if topic is None:
        raise NotFound(NO_REQUEST)
    request.decide(session, user, behavior, reason, now)
    go_on(session, topic, request, words, now)
    return request


def matter(request: PermissionRequest) -> str:
    """What was decided, within a sentence: "a command of scout"."""
    what = {Kind.EXEC: "a command", Kind.QUESTION: "a question"}.get(Kind(request.kind), "a request")
    return f"{what} of {request.agent.handle}"


def go_on_later(session: Session, id: int, topic_id: int, words: Words, now: datetime) -> Task | None:
    """Looks again at a question that could not go on when it was decided; for an agent that came back."""
    topic = Topic.locked(session, topic_id)
    query = select(PermissionRequest).where(PermissionRequest.id == id).with_for_update(key_share=True)
    request = session.scalars(query.execution_options(populate_existing=True)).first()
    return None if topic is None or request is None else go_on(session, topic, request, words, now)


def go_on(session: Session, topic: Topic, request: PermissionRequest, words: Words, now: datetime) -> Task | None:
    """One new task that tells the agent of the decision; under the topic's lock and the request's.

    None unless it is decided, its turn has ended with an answer, and the agent may still work here as a plugin's.
    """
    waits = request.is_decided and request.turn_finished_at is not None and request.continuation_task_id is None
    if not waits or topic.archived:
        return None
    origin = None if request.task_id is None else session.get(Task, request.task_id)
    usable = Agent.usable_in(topic.creative_id).where(Agent.id == request.agent_id)
    agent = session.scalars(usable).first()
    if origin is None or origin.status != TaskStatus.DONE or agent is None or not agent.is_channel_agent:
        return None
    message = topic.announce(session, agent, words(request), Source.NOTICE, inert)
    only = topic.session_id if agent.id == topic.session_agent_id else None
    task = Task.queue(session, message, agent.id, only, None, agent.handle)
    task.approval_request_id, task.advance_due_at = request.request_id, now
    request.continuation_task_id = task.id
    session.flush()
    return task
