"""What pages, API and cable read most: messages with their authors, tasks with what they carry, as plain rows.

Plain rows cost half of what objects cost, and these are read for every page and every broadcast.
"""

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import Session, aliased

from models.agent import Agent, AgentKind
from models.agent_subscription import AgentSubscription
from models.gateway import Gateway
from models.message import Message, Source
from models.prepared import Few, among, prepared, rows
from models.task import Task, TaskMessage
from models.task_status import TaskStatus
from models.topic import Topic
from models.user import User

# The same author again within this time: name and picture are not repeated.
CONTINUES = timedelta(minutes=5)
# The database's time inside a statement.
NOW = cast("datetime", func.now())


# Greater than every id.
END = 2**63 - 1


def earlier_in(table: Any, topic_id: Any, id: Any = END) -> ColumnElement[bool]:
    """The condition for the messages of a topic before an id; to be read by `newest_first`, with a limit.

    Written as a range, so that the index (topic_id, id) alone fits. Of `topic_id = x ORDER BY id LIMIT n` the planner
    may think that any n messages are soon found along the primary key: for a small topic those are all of the hub.
    """
    return and_(tuple_(table.topic_id, table.id) < tuple_(_big(topic_id), _big(id)), table.topic_id >= topic_id)


def later_in(table: Any, topic_id: Any, id: Any) -> ColumnElement[bool]:
    """The condition for the messages of a topic after an id; to be read by `oldest_first`, with a limit."""
    return and_(tuple_(table.topic_id, table.id) > tuple_(_big(topic_id), _big(id)), table.topic_id <= topic_id)


def newest_first(table: Any) -> tuple[ColumnElement[int], ...]:
    """The order that goes with `earlier_in`."""
    return table.topic_id.desc(), table.id.desc()


def oldest_first(table: Any) -> tuple[ColumnElement[int], ...]:
    """The order that goes with `later_in`."""
    return table.topic_id, table.id


def _big(value: Any) -> Any:
    return literal(value, BigInteger) if isinstance(value, int) else value


@functools.cache  # building it costs more than running it
def said() -> Select[*tuple[Any, ...]]:
    """Messages with their authors' names: `author_name` (in full) and `author_short` (what pages call an agent).

    `continued`: the message before it in the topic is the same author's, less than five minutes older, and no prompt
    (which is shown as a card).
    """
    earlier = aliased(Message)
    last = (
        select(
            earlier.user_id,
            earlier.agent_id,
            earlier.created_at,
            earlier.source,
            earlier.gateway_id,
            earlier.origin,
        )
        .where(earlier_in(earlier, Message.topic_id, Message.id))
        .order_by(*newest_first(earlier))
        .limit(1)
        .lateral("last")
    )
    continued = and_(
        last.c.created_at > Message.created_at - CONTINUES,
        last.c.source != Source.PROMPT,
        # What came unasked says so: what follows it by another way begins with its name again.
        (last.c.source == Source.PROACTIVE) == (Message.source == Source.PROACTIVE),
        last.c.gateway_id.is_not_distinct_from(Message.gateway_id),
        last.c.origin.is_not_distinct_from(Message.origin),
        last.c.user_id.is_not_distinct_from(Message.user_id),
        last.c.agent_id.is_not_distinct_from(Message.agent_id),
    )
    return (
        select(
            Message.id,
            Message.topic_id,
            Message.text,
            Message.html,
            Message.source,
            Message.user_id,
            Message.agent_id,
            Message.task_id,
            Message.run_id,
            Message.gateway_id,
            Message.origin,
            Message.cut,
            Message.delivery,
            Message.why,
            Message.created_at,
            func.coalesce(User.name, Agent.name).label("author_name"),
            func.coalesce(User.name, Agent.handle).label("author_short"),
            Gateway.name.label("gateway_name"),
            case(
                (Message.user_id.is_not(None), "user"), (Message.agent_id.is_not(None), "agent"), else_="system"
            ).label("author_kind"),
            func.coalesce(continued, False).label("continued"),
        )
        .select_from(Message)
        .outerjoin(User, User.id == Message.user_id)
        .outerjoin(Agent, Agent.id == Message.agent_id)
        .outerjoin(Gateway, Gateway.id == Message.gateway_id)
        .outerjoin(last, true())
    )


def page_of_messages(
    session: Session, topic_id: int, limit: int, before: int | None = None, after: int | None = None
) -> list[Row[*tuple[Any, ...]]]:
    """A page of a topic, oldest first: the newest ones, those before an id, or those after one."""
    if after is not None:
        return list(rows(session, *_later(topic_id, after, limit)))
    return list(rows(session, *_earlier(topic_id, END if before is None else before, limit)))[::-1]


@prepared
def _later(topic_id: int, id: int, limit: Few) -> Select[*tuple[Any, ...]]:
    return said().where(later_in(Message, topic_id, id)).order_by(*oldest_first(Message)).limit(limit)


@prepared
def _earlier(topic_id: int, id: int, limit: Few) -> Select[*tuple[Any, ...]]:
    return said().where(earlier_in(Message, topic_id, id)).order_by(*newest_first(Message)).limit(limit)


def messages_by_id(session: Session, ids: Sequence[int]) -> dict[int, Row[*tuple[Any, ...]]]:
    """These messages by their id."""
    return {row.id: row for row in rows(session, *_said_by_id(ids))}


@prepared
def _said_by_id(ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    return said().where(among(Message.id, ids))


def carried_by(session: Session, task_id: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """The messages that a task carries, oldest first."""
    return rows(session, *_carried_by(task_id))


@prepared
def _carried_by(task_id: int) -> Select[*tuple[Any, ...]]:
    carried = said().join(TaskMessage, TaskMessage.message_id == Message.id)
    return carried.where(TaskMessage.task_id == task_id).order_by(Message.id)


def standing() -> tuple[Any, ...]:
    """Columns of a task, with its agent joined, that say who could serve it now, or what it waits for.

    dropped_at   when the connection it was sent to was lost, while its grace window runs
    siblings     whether the agent has another session, live or in its own grace window
    served       whether a session that may take it is live; of an agent behind a gateway the task's own `why` says more
    """
    there = AgentSubscription.agent_id == Task.agent_id
    lost = select(AgentSubscription.dropped_at).where(AgentSubscription.token == Task.sent_to).scalar_subquery()
    others = exists().where(there, AgentSubscription.token.is_distinct_from(Task.sent_to))
    fits = or_(Task.only_session.is_(None), AgentSubscription.session_id == Task.only_session)
    served = or_(Agent.kind == AgentKind.GATEWAY, exists().where(there, fits, AgentSubscription.live(NOW)))
    presence = (lost.label("dropped_at"), others.label("siblings"), served.label("served"))
    return *presence, Task.suspended_for, Task.until, Agent.keep_seconds


def work(*which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Tasks with the agent's name and, as `carried_id`, each message they carry: a row for each pair.

    placed_id    the last message it carries: the task is shown in one place
    and the columns of `standing`.
    """
    carries = aliased(TaskMessage)
    placed = select(func.max(carries.message_id)).where(carries.task_id == Task.id).scalar_subquery()
    return (
        select(
            Task.id,
            Task.topic_id,
            Task.agent_id,
            Task.status,
            Task.why,
            Task.sent_at,
            Task.created_at,
            Task.finished_at,
            Task.reply_message_id,
            Agent.handle.label("agent_short"),
            TaskMessage.message_id.label("carried_id"),
            placed.label("placed_id"),
            *standing(),
        )
        .join(Agent, Agent.id == Task.agent_id)
        .join(TaskMessage, TaskMessage.task_id == Task.id)
        .where(*which)
        .order_by(Task.id)
    )


def work_on(session: Session, message_ids: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    """The `work` that carries these messages."""
    return rows(session, *_work_on(message_ids))


@prepared
def _work_on(message_ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    return work(among(TaskMessage.message_id, message_ids))


def tasks_by_id(session: Session, ids: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    """These tasks as `work`."""
    return rows(session, *_tasks_by_id(ids))


@prepared
def _tasks_by_id(ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    return work(among(Task.id, ids))


def dispatches(session: Session, task_ids: Sequence[int]) -> dict[int, Row[*tuple[Any, ...]]]:
    """What is sent to a plugin, by task id: the task, its message and the name of who wrote it."""
    return {row.id: row for row in rows(session, *_dispatches(task_ids))}


@prepared
def _dispatches(task_ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Task.id,
            Task.agent_id,
            Task.topic_id,
            Task.status,
            Task.generation,
            func.concat_ws("\n\n", Task.preface, Task.content).label("content"),
            Task.only_session,
            Task.sent_to,
            Task.sends,
            Task.approval_request_id,
            Topic.creative_id,
            Message.id.label("message_id"),
            Message.created_at,
            func.coalesce(Message.user_id, Message.agent_id).label("author_id"),
            func.coalesce(User.name, Agent.name, "Switchyard").label("author_name"),
        )
        .join(Topic, Topic.id == Task.topic_id)
        .outerjoin(Message, Message.id == Task.message_id)
        .outerjoin(User, User.id == Message.user_id)
        .outerjoin(Agent, Agent.id == Message.agent_id)
        .where(among(Task.id, task_ids))
    )


def at_work(session: Session, topic_ids: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    """(id, topic_id, agent_id) of the delegated tasks of these topics whose session is live."""
    return rows(session, *_at_work(topic_ids))


@prepared
def _at_work(topic_ids: Sequence[int]) -> Select[int, int, int]:
    row = and_(AgentSubscription.token == Task.sent_to, AgentSubscription.live(NOW))
    query = select(Task.id, Task.topic_id, Task.agent_id).join(AgentSubscription, row)
    return query.where(Task.status == TaskStatus.DELEGATED, among(Task.topic_id, topic_ids))
