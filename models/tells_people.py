"""What a topic says by itself about work whose agent is away, or was: each of it once; and its advancing.

A part of `Topic`, in a file of its own. All of it happens under the topic's row lock, and gives nobody work.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.orm import Session

from models import sentences
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.database import rules
from models.gateway import Holder
from models.hands_over import HandsOver
from models.prepared import Few, prepared
from models.task import Task, TaskStatus

# A plugin that lost its socket is back within a second or two: who says that at once says it for nothing.
PATIENCE = timedelta(seconds=5)
MOST_NAMED = 5


class TellsPeople(HandsOver):
    """The notices of a topic about its work. Expects a topic."""

    def advance(self, session: Session, now: datetime, holder: Holder | None = None) -> Task | None:
        """Lets the next task go, under the topic's lock: one runs at a time, in order; who is away holds up nobody.

        Returns the task that was delegated, or claimed by this holder of a gateway; None when none could be. Of who
        is back, what was cancelled is said.
        """
        to_tell_of = self.agents_to_tell_of(session)
        agents = self.lock_agents(session, *to_tell_of)
        self.keep_seat(session, agents, now)
        gone = self.advance_among(session, agents, now, holder)
        if to_tell_of:
            self.tell_returns(session, (agents[id] for id in to_tell_of), now)
        return gone

    @staticmethod
    def due(session: Session, now: datetime, limit: int = 100) -> list[int]:
        """Topics to advance: with tasks that may be able to go, or with a return to tell of; longest due first."""
        return list(session.scalars(*_due(now, limit)))

    def agents_to_tell_of(self, session: Session) -> list[int]:
        """Agents of which something was cancelled here while they were away, untold."""
        return list(session.scalars(*_untold(self.id)))

    def tell_returns(self: Any, session: Session, agents: Iterable[Agent], now: datetime) -> None:
        """Says what was cancelled while these agents (locked) were away, of those that are back."""
        wanted = {agent.id: agent for agent in agents}
        untold = (Task.topic_id == self.id, Task.untold_at.is_not(None), Task.agent_id.in_(list(wanted)))
        tasks = Task.locked(session, session.scalars(select(Task.id).where(*untold)))
        for agent_id, some in groupby(sorted(tasks, key=lambda task: (task.agent_id, task.id)), lambda t: t.agent_id):
            of_agent = list(some)
            back = wanted[agent_id].routable(session, now)
            if back:
                for task in of_agent:
                    task.untold_at = None
                locale = self.reader_locale(session, of_agent[0].message_id)
                self.notice(session, _cancelled_meanwhile(locale, wanted[agent_id].handle, of_agent))
        session.flush()

    def tell_absences(self: Any, session: Session, now: datetime) -> int:
        """Says of each agent that works here and is not connected what becomes of that work; once a drop."""
        ids = [id for id, topic_id in _absences(session, now) if topic_id == self.id]
        found = session.scalars(select(Task.agent_id).where(Task.id.in_(ids)).distinct())
        agents = {agent.id: agent for agent in Agent.locked(session, *found)}
        still = {id for id, topic_id in _absences(session, now) if topic_id == self.id}
        tasks = [task for task in Task.locked(session, still) if task.agent_id in agents]
        for task in tasks:
            task.absence_told_at = func.clock_timestamp()
        for agent_id in sorted({task.agent_id for task in tasks}):
            of_agent = [task for task in tasks if task.agent_id == agent_id]
            locale = self.reader_locale(session, of_agent[0].message_id)
            self.notice(session, _away(session, locale, agents[agent_id], of_agent))
        session.flush()
        return len(tasks)


def topics_with_absences(session: Session, now: datetime) -> list[int]:
    """Topics in which somebody works who is not connected, and that do not say so yet."""
    return sorted({topic_id for _, topic_id in _absences(session, now)})


def _absences(session: Session, now: datetime) -> list[tuple[int, int]]:
    """(task, topic) of delegated work whose agent has no live session for a while, untold since that drop."""
    patience = min(PATIENCE, timedelta(seconds=rules().grace_seconds / 2))
    there = AgentSubscription.agent_id == Task.agent_id
    lost = select(AgentSubscription.dropped_at).where(AgentSubscription.token == Task.sent_to).scalar_subquery()
    query = select(Task.id, Task.topic_id).where(
        Task.status == TaskStatus.DELEGATED,
        lost <= now - patience,
        ~exists().where(there, AgentSubscription.live(now)),
        or_(Task.absence_told_at.is_(None), Task.absence_told_at < lost),
    )
    return [(id, topic_id) for id, topic_id in session.execute(query.order_by(Task.id))]


@prepared
def _due(now: datetime, limit: Few) -> Select[int]:
    there = exists().where(AgentSubscription.agent_id == Task.agent_id, AgentSubscription.live(now))
    may_go = select(Task.topic_id, Task.advance_due_at.label("at")).where(Task.advance_due_at <= now)
    returned = select(Task.topic_id, Task.untold_at).where(Task.untold_at.is_not(None), there)
    found = may_go.union_all(returned).subquery()
    return select(found.c.topic_id).group_by(found.c.topic_id).order_by(func.min(found.c.at)).limit(limit)


@prepared
def _untold(topic_id: int) -> Select[int]:
    return select(Task.agent_id).where(Task.topic_id == topic_id, Task.untold_at.is_not(None)).distinct()


def _away(session: Session, locale: str, agent: Agent, tasks: list[Task]) -> str:
    rows = AgentSubscription.of(session, agent.id)
    sent_to = {task.sent_to for task in tasks}
    ends = max((row.grace_ends_at for row in rows if row.grace_ends_at and row.token in sent_to), default=None)
    if ends is None:
        return sentences.tell(locale, sentences.NOT_CONNECTED, agent=agent.handle)
    if agent.keep_seconds > 0:
        kept = ends + timedelta(seconds=agent.keep_seconds)
        return sentences.tell(locale, sentences.AWAY_KEEPS, agent=agent.handle, until=kept)
    return sentences.tell(locale, sentences.AWAY_CANCELS, agent=agent.handle, until=ends)


def _cancelled_meanwhile(locale: str, handle: str, tasks: list[Task]) -> str:
    named = [sentences.quoted(task.content) for task in tasks[:MOST_NAMED]]
    if len(tasks) > MOST_NAMED:
        named.append("...")
    return sentences.tell(locale, sentences.CANCELLED_MEANWHILE, agent=handle, tasks=", ".join(named))
