"""What happened lately, as a person may read it: acts and events, tasks that ended, what was said unasked.

Only the newest ids of each table are looked at, so that it costs the same however long the hub has been there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from models.activity import Activity
from models.agent import Agent
from models.creative import Creative
from models.gateway import Gateway
from models.message import Message, Source
from models.permission_request import PermissionRequest
from models.prepared import Few, prepared, rows
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import Role, User

Rows = Sequence[Row[*tuple[Any, ...]]]
NEWEST = 500
# Counting stops here: "99+".
MOST_COUNTED = 100


def acts(session: Session, user: User, since: datetime, limit: int) -> Rows:
    """Lines of activity, newest first: what the log shows this person, and what was done in topics they may read.

    Operators read all of it. No line says from which address; `topic_name` is None where they may not read the topic.
    """
    return rows(session, *_acts(user.id, user.is_at_least(Role.OPERATOR), since, limit))


@prepared
def _acts(user_id: int, reads_all: bool, since: datetime, limit: Few) -> Select[*tuple[Any, ...]]:
    newest = select(Activity).order_by(Activity.id.desc()).limit(NEWEST).subquery()
    line = aliased(Activity, newest)
    columns = (line.id, line.at, line.kind, line.event, line.text, line.detail)
    names = (Gateway.name.label("gateway_name"), Topic.name.label("topic_name"))
    read = and_(Topic.id == line.topic_id, Topic.creative_id.in_(Creative.readable_by(user_id)))
    shown = select(*columns, line.topic_id, line.task_id, line.gateway_id, *names)
    shown = shown.outerjoin(Gateway, Gateway.id == line.gateway_id).outerjoin(Topic, read)
    shown = shown.where(line.at >= since).order_by(line.id.desc()).limit(limit)
    if reads_all:
        return shown
    own = select(Agent.id).where(Agent.owner_id == user_id)
    return shown.where(or_(line.user_id == user_id, line.agent_id.in_(own), line.topic_id.in_(_topics(user_id))))


def ended(session: Session, user: User, since: datetime, limit: int) -> Rows:
    """Tasks that ended since then in topics the person may read, the last first."""
    return rows(session, *_ended(user.id, since, limit))


@prepared
def _ended(user_id: int, since: datetime, limit: Few) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Task.id,
            Task.finished_at.label("at"),
            Task.status,
            Task.why,
            Agent.handle,
            Topic.name.label("topic_name"),
        )
        .join(Agent, Agent.id == Task.agent_id)
        .join(Topic, Topic.id == Task.topic_id)
        .where(Task.finished_at >= since, Topic.creative_id.in_(Creative.readable_by(user_id)))
        .order_by(Task.finished_at.desc())
        .limit(limit)
    )


def unasked(session: Session, user: User, since: datetime, limit: int) -> Rows:
    """What gateways said unasked since then in topics the person may read, newest first."""
    return rows(session, *_unasked(user.id, since, limit))


@prepared
def _unasked(user_id: int, since: datetime, limit: Few) -> Select[*tuple[Any, ...]]:
    newest = select(Message).order_by(Message.id.desc()).limit(NEWEST).subquery()
    said = aliased(Message, newest)
    return (
        select(
            said.id,
            said.created_at.label("at"),
            said.topic_id,
            Agent.handle,
            Gateway.name.label("gateway_name"),
            Topic.name.label("topic_name"),
        )
        .join(Topic, Topic.id == said.topic_id)
        .outerjoin(Agent, Agent.id == said.agent_id)
        .outerjoin(Gateway, Gateway.id == said.gateway_id)
        .where(said.source == Source.PROACTIVE, said.created_at >= since)
        .where(Topic.creative_id.in_(Creative.readable_by(user_id)))
        .order_by(said.id.desc())
        .limit(limit)
    )


def today(session: Session, user: User, since: datetime) -> Row[Any]:
    """How many approvals were decided since then in topics the person may read, and the median `wait` in seconds.

    Beside them `finished`: how many tasks were done since then in those topics (MOST_COUNTED at most).
    """
    return rows(session, *_decided(user.id, since))[0]


@prepared
def _decided(user_id: int, since: datetime) -> Select[*tuple[Any, ...]]:
    done = (Task.topic_id.in_(_topics(user_id)), Task.status == TaskStatus.DONE, Task.finished_at >= since)
    newest = select(Task.id).where(*done).limit(MOST_COUNTED).subquery()
    finished = select(func.count()).select_from(newest).scalar_subquery()
    waited = func.extract("epoch", PermissionRequest.decided_at - PermissionRequest.created_at)
    median = func.percentile_cont(0.5).within_group(waited)
    here = (PermissionRequest.decided_at >= since, PermissionRequest.topic_id.in_(_topics(user_id)))
    return select(func.count().label("number"), median.label("wait"), finished.label("finished")).where(*here)


def _topics(user_id: int) -> Select[int]:
    return select(Topic.id).where(Topic.creative_id.in_(Creative.readable_by(user_id)))
