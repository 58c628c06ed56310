"""The last net: delegated work whose session nobody waits for, that no socket took, or that has been out for a day."""

from datetime import datetime, timedelta

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session

from models import sentences
from models.agent import Agent, AgentKind
from models.agent_subscription import AgentSubscription
from models.task import Task, TaskStatus

UNSENT = timedelta(minutes=1)
LONG = timedelta(hours=24)
MOST = 500

_of_its_agent = AgentSubscription.agent_id == Task.agent_id
_row = exists().where(_of_its_agent, AgentSubscription.token == Task.sent_to)
_live_row = exists().where(
    _of_its_agent, AgentSubscription.token == Task.sent_to, AgentSubscription.dropped_at.is_(None)
)


def agents_to_look_after(session: Session, now: datetime) -> list[int]:
    """The plugin agents that have such work."""
    plugins = select(Agent.id).where(Agent.kind == AgentKind.PLUGIN)
    unsent = and_(Task.sent_at.is_(None), Task.aimed_at < now - UNSENT, _live_row)
    long_out = and_(Task.why.is_(None), func.coalesce(Task.sent_at, Task.aimed_at) < now - LONG)
    stuck = select(Task.agent_id).where(
        Task.status == TaskStatus.DELEGATED, Task.agent_id.in_(plugins), or_(~_row, unsent, long_out)
    )
    return list(session.scalars(stuck.distinct().order_by(Task.agent_id).limit(MOST)))


def look_after(session: Session, agent: Agent, now: datetime) -> int:
    """Puts one agent's stuck work on its way again, under the agent's lock; says how many tasks.

    1. Its session lost every trace: the same full grace as after a drop, unless the session is there again.
    2. Its session is live and no socket took the frame for a minute: it is sent again.
    3. It has been out for a day: it says so, and a person decides.
    """
    rows = {row.token: row for row in AgentSubscription.of(session, agent.id)}
    mine = (Task.agent_id == agent.id, Task.status == TaskStatus.DELEGATED)
    touched = 0
    for task in Task.locked(session, session.scalars(select(Task.id).where(*mine))):
        if task.status != TaskStatus.DELEGATED or task.sent_to is None:
            continue
        row = rows.get(task.sent_to)
        if row is None:
            row = _wait_for(session, agent, task, list(rows.values()), now)
            rows[row.token] = row
        elif row.dropped_at is None and task.sent_at is None and _before(task.aimed_at, now - UNSENT):
            task.note(session, "repeated", sentences.NEVER_TAKEN, "hub")
            task.aim(session, row.token, row.session_id, row.registration)
        elif task.why is None and _before(task.sent_at or task.aimed_at, now - LONG):
            task.why = sentences.STUCK.format(agent=agent.handle, hours=int(LONG.total_seconds() // 3600))
            task.note(session, "stuck", task.why, "hub")
            task.changed(session)
        else:
            continue
        touched += 1
    session.flush()
    return touched


def _wait_for(
    session: Session, agent: Agent, task: Task, rows: list[AgentSubscription], now: datetime
) -> AgentSubscription:
    """The session's new row when it is there under another connection, else a grace window made for it."""
    wanted = task.sent_session_id
    same = [row for row in rows if row.dropped_at is None and wanted is not None and row.session_id == wanted]
    if same:
        there = same[-1]
        if task.sent_at is not None and task.sent_registration == there.registration:
            task.follow(session, there.token)
        else:
            task.aim(session, there.token, there.session_id, there.registration)
        return there
    task.note(session, "dropped", sentences.TRACE_LOST, "hub")
    return agent.grace_for(session, str(task.sent_to), task.sent_session_id, task.sent_registration, now)


def _before(at: datetime | None, limit: datetime) -> bool:
    return at is not None and at < limit
