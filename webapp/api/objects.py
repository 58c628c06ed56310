"""The things of the API as programs see them. Every field is always there; what is unknown is null.

The OpenAPI document is made from these Structs, so their docstrings are read by people who never see this file.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from models import agent as agents
from models.creative import Level
from models.database import rules
from models.message import Delivery, Source
from models.task import TaskStatus
from models.user import Role


class Token(msgspec.Struct):
    """An access token; its text is shown once, when it is made."""

    id: int
    label: str
    created_at: datetime
    expires_at: datetime | None


class Me(msgspec.Struct):
    """The person whose token it is."""

    id: int
    email: str
    name: str
    role: Role
    inbox_creative_id: int
    token: Token


class Creative(msgspec.Struct):
    """A container of topics; `level` is what the asking person may do there."""

    id: int
    name: str
    owner_id: int
    inbox: bool
    level: Level
    created_at: datetime


class Share(msgspec.Struct):
    """A right of one person or one agent on a creative."""

    id: int
    creative_id: int
    user_id: int | None
    agent_id: int | None
    name: str
    level: Level
    created_at: datetime


class Topic(msgspec.Struct):
    """A conversation. `session_id` is set for the topic of a plugin's session; `unread` counts to 100."""

    id: int
    name: str
    creative_id: int
    primary_agent_id: int | None
    session_id: str | None
    archived: bool
    unread: int
    last_message_id: int | None
    created_at: datetime


class Author(msgspec.Struct):
    """Who said it; the hub itself is `system` and has no id."""

    kind: Literal["user", "agent", "system"]
    id: int | None
    name: str


class Message(msgspec.Struct):
    """One thing said; `text` is what was said, unrendered."""

    id: int
    topic_id: int
    text: str
    author: Author
    task_id: int | None
    source: Source
    run_id: str | None
    gateway_id: int | None
    delivery: Delivery | None
    why: str | None
    created_at: datetime


class Given(msgspec.Struct):
    """A task that a message was given to."""

    id: int
    agent_id: int
    status: TaskStatus


class Posted(msgspec.Struct):
    """What came of a message: the tasks it went to, or why nobody took it."""

    message: Message
    tasks: list[Given]
    unrouted: str | None


class TaskEvent(msgspec.Struct):
    """One line of a task's timeline."""

    at: datetime
    event: str
    text: str
    actor: str


class Task(msgspec.Struct):
    """Work given to one agent. `partial` is the text so far of a running answer."""

    id: int
    topic_id: int
    message_id: int | None
    agent_id: int
    parent_id: int | None
    status: TaskStatus
    why: str | None
    until: datetime | None
    run_id: str | None
    gateway_id: int | None
    partial: str | None
    reply_message_id: int | None
    created_at: datetime
    finished_at: datetime | None
    timeline: list[TaskEvent]


class AgentSession(msgspec.Struct):
    """One session of an agent: live, or dropped and waited for until `grace_ends_at`."""

    session_id: str | None
    label: str | None
    state: Literal["live", "dropped"]
    last_seen_at: datetime
    dropped_at: datetime | None
    grace_ends_at: datetime | None


class Agent(msgspec.Struct):
    """An AI that can be given work; `why_not` says why it cannot take any now."""

    id: int
    name: str
    kind: Literal["plugin", "gateway"]
    owner_id: int
    routable: bool
    why_not: str | None
    routing_expression: str | None
    keep_seconds: int
    max_tasks: int | None
    gateway_id: int | None
    gateway_agent_id: str | None
    has_own_token: bool
    sessions: list[AgentSession]


class Creatives(msgspec.Struct):
    """A page of creatives; `next` asks for more."""

    items: list[Creative]
    next: int | None


class Shares(msgspec.Struct):
    """A page of rights; `next` asks for more."""

    items: list[Share]
    next: int | None


class Topics(msgspec.Struct):
    """A page of topics; `next` asks for more."""

    items: list[Topic]
    next: int | None


class Messages(msgspec.Struct):
    """A page of messages, the oldest first; `next` asks for more."""

    items: list[Message]
    next: int | None


class Tasks(msgspec.Struct):
    """A page of tasks; `next` asks for more."""

    items: list[Task]
    next: int | None


class Agents(msgspec.Struct):
    """A page of agents; `next` asks for more."""

    items: list[Agent]
    next: int | None


class Refused(msgspec.Struct):
    """Why a call was not carried out: a sentence for people, a word for programs."""

    error: str
    code: str


def creative(row: Any) -> Creative:
    """A row of `listing.creatives`."""
    return msgspec.convert(row, Creative, from_attributes=True)


def share(row: Any) -> Share:
    """A row of `listing.shares`."""
    return msgspec.convert(row, Share, from_attributes=True)


def topic(row: Any) -> Topic:
    """A row of `listing.topics`."""
    return msgspec.convert(row, Topic, from_attributes=True)


def message(row: Any) -> Message:
    """A row of `reading.said`."""
    author = Author(row.author_kind, row.user_id or row.agent_id, row.author_name or "Switchyard")
    return Message(
        id=row.id,
        topic_id=row.topic_id,
        text=row.text,
        author=author,
        task_id=row.task_id,
        source=row.source,
        run_id=row.run_id,
        gateway_id=row.gateway_id,
        delivery=row.delivery,
        why=row.why,
        created_at=row.created_at,
    )


def task(row: Any, timeline: Sequence[Any]) -> Task:
    """A row of `listing.tasks` with its events."""
    events = [TaskEvent(event.at, event.event, event.text, event.actor) for event in timeline]
    return msgspec.convert({**row._mapping, "timeline": events}, Task)


def agent(row: Any, sessions: Sequence[Any]) -> Agent:
    """A row of `listing.agents` with its sessions."""
    shown = [agent_session(one) for one in sessions]
    why_not = agents.Agent.why_not(row, any(one.state == "live" for one in shown))
    return Agent(
        id=row.id,
        name=row.name,
        kind=row.kind,
        owner_id=row.owner_id,
        routable=why_not is None,
        why_not=why_not,
        routing_expression=row.routing_expression,
        keep_seconds=row.keep_seconds,
        max_tasks=row.max_tasks,
        gateway_id=row.gateway_id,
        gateway_agent_id=row.gateway_agent_id,
        has_own_token=row.has_own_token,
        sessions=shown,
    )


def agent_session(row: Any) -> AgentSession:
    """A row of `listing.sessions`."""
    ends = None if row.dropped_at is None else row.dropped_at + timedelta(seconds=rules().grace_seconds)
    state: Literal["live", "dropped"] = "live" if row.is_live else "dropped"
    return AgentSession(row.session_id, row.label, state, row.last_seen_at, row.dropped_at, ends)
