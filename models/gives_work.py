"""What a topic gives to agents: a task for each, one running at a time, the rest in order.

A part of `Topic`, in a file of its own. All of it happens under the topic's row lock.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.orm import Session

from models.addressing import address_of
from models.agent import Agent, AgentKind
from models.base import locking
from models.broadcast import broadcast
from models.errors import Invalid, WrongState
from models.gateway import Gateway, Holder
from models.has_seat import HasSeat
from models.has_steps import Step
from models.listeners import Listeners
from models.message import Message, check_text
from models.prepared import among, one_of, prepared
from models.task import Task, TaskStatus
from models.task_status import RUNNING

BEFORE_IT = "Waits until the task before it is finished."
AT_WORK = "{agent} is at work on as many tasks as it may take."
CLAIMED = "On its way to {agent}, by {gateway}."
ENDED_BADLY = (TaskStatus.FAILED, TaskStatus.CANCELLED)


class GivesWork(HasSeat):
    """The work of one topic. Expects the topic's `id`, `creative_id`, `session_id` and `session_agent_id`."""

    id: Any
    creative_id: Any
    session_id: Any
    session_agent_id: Any

    def queue(
        self, session: Session, message: Message, agent: Agent, taking: Listeners, actor: str, hops: int = 0
    ) -> Task:
        """A task for the agent, merged into one that still waits; `hops`: how often agents have handed it on."""
        if agent.is_channel_agent:
            waits = session.scalars(*_last_queued(self.id, agent.id)).first()
            if waits is not None:
                waits.hops = min(waits.hops, hops)
                waits.merge(session, message, actor)
                return waits
        only = self.session_id if agent.id == self.session_agent_id else None
        task = Task.queue(session, message, agent.id, only, taking.waits_for.get(agent.id), actor)
        task.hops = hops
        return task

    def queue_steps(
        self, session: Session, message: Message, agent: Agent, steps: Sequence[tuple[Agent, str]], actor: str
    ) -> Task:
        """A task for the agent that is worked on in steps, each by its own agent; under the topic's lock.

        The first may go at once (`advance`); Invalid (steps) when there are none.
        """
        if not steps:
            raise Invalid(steps="Give at least one step.")
        task = Task.queue(session, message, agent.id, None, None, actor)
        own = self.session_agent_id
        planned = [Step(one.id, self.session_id if one.id == own else None, check_text(words)) for one, words in steps]
        task.add_steps(session, message, planned, actor)
        return task

    def lock_agents(self, session: Session, *ids: int) -> dict[int, Agent]:
        """Those whose work waits here and these, before any task is locked (the order of locks)."""
        return {agent.id: agent for agent in session.scalars(*_locked_agents(self.id, ids))}

    def advance_among(
        self, session: Session, agents: dict[int, Agent], now: datetime, holder: Holder | None = None
    ) -> Task | None:
        """Lets the next task of these agents go: one runs at a time, in order; who is away holds up nobody.

        What is for an agent behind a gateway is left to whoever holds that gateway, who is nudged and comes here as
        the `holder`: it claims what it then sends.
        """
        waiting = list(session.scalars(*_locked_waiting(self.id, list(agents))))
        # What was begun goes on before anything new does.
        waiting.sort(key=lambda task: (task.status != TaskStatus.SUSPENDED, task.id))
        busy = bool(waiting) and self._busy(session)
        gone = None
        for task in waiting:
            task.advance_due_at = None
            agent = agents[task.agent_id]
            why, gone_now, turn = (BEFORE_IT, False, False) if busy else self._hand(session, agent, task, now, holder)
            if gone_now:
                gone = task
            elif why != task.why:
                task.why = why
                task.changed(session)
            busy = busy or turn
        session.flush()
        return gone

    # -- what people decide about work -------------------------------------------------------------------------

    def cancel(self, session: Session, task: Task, by: str, now: datetime) -> Task:
        """Ends an open task, under the topic's lock; what waits for its place may go. Raises WrongState."""
        Agent.locked(session, task.agent_id, *(step.agent_id for step in task.steps(session)))
        self.rest(session, task.id, now)
        [task] = Task.locked(session, [task.id])
        task.finish(session, TaskStatus.CANCELLED, f"Cancelled by {by}.", now, by)
        Task.mark_due(session, now, agent_id=task.agent_id, topic_ids=[self.id])
        return task

    def retry(self, session: Session, task: Task, by: str, now: datetime) -> Task:
        """Gives a failed or cancelled task to its agent once more, under the topic's lock. Raises WrongState."""
        if session.scalars(self._usable(task.agent_id)).first() is None:
            raise WrongState("Its agent may no longer work here. Give the task to another one.")
        return self._again(session, task, task.agent_id, ENDED_BADLY, f"Tried again by {by}.", by, now)

    def reassign(self, session: Session, task: Task, agent_id: int, by: str, now: datetime) -> Task:
        """Gives a task that waits, failed or was cancelled to another agent, under the topic's lock.

        Raises Invalid (agent_id), or WrongState while somebody works on it.
        """
        agent = session.scalars(self._usable(agent_id)).first()
        if agent is None:
            raise Invalid(agent_id=f"No agent {agent_id} may work here. Choose one of this creative's agents.")
        words = f"Given to {agent.handle} by {by}."
        return self._again(session, task, agent_id, (TaskStatus.QUEUED, *ENDED_BADLY), words, by, now)

    def _usable(self, agent_id: int) -> Select[Agent]:
        return Agent.usable_in(self.creative_id).where(Agent.id == agent_id)

    def _again(
        self, session: Session, task: Task, agent_id: int, allowed: Collection[str], words: str, by: str, now: datetime
    ) -> Task:
        agents = self.lock_agents(session, task.agent_id, agent_id)
        self.take_seat(session, [agent_id], None, now)
        [task] = Task.locked(session, [task.id])
        if task.status not in allowed:
            raise WrongState(f"This task is {task.status}. Only one that is {', '.join(allowed)} can go again.")
        only = self.session_id if agent_id == self.session_agent_id else None
        task.try_again(session, agent_id, only, words, by)
        task.reopen_steps(session, by)
        Task.mark_due(session, now, topic_ids=[self.id])
        self.advance_among(session, agents, now)
        return task

    def _busy(self, session: Session) -> bool:
        return bool(session.scalar(*_running(self.id)))

    def _hand(
        self, session: Session, agent: Agent, task: Task, now: datetime, holder: Holder | None
    ) -> tuple[str | None, bool, bool]:
        """(what it waits for, whether it went, whether it has its turn: what is behind it then waits)."""
        if agent.kind != AgentKind.GATEWAY:
            why = self._delegate(session, agent, task, now)
            return why, why is None, why is None
        why, not_yet = agent.standing(session)
        if why is None and not agent.has_room(session, agent.max_tasks):
            why = AT_WORK.format(agent=agent.handle)
        if why is not None:
            return why, False, False
        where = address_of(session, self, task, agent)
        if isinstance(where, str):
            return where, False, False
        if holder is None or holder.gateway_id != where.gateway_id:
            broadcast(session, f"gateway:{where.gateway_id}", "work", topic=self.id)
            return not_yet, False, True
        if not Gateway.is_held(session, holder.gateway_id, holder.epoch):
            return not_yet, False, True
        task.preface = where.context
        if where.context is not None:
            broadcast(session, f"topic:{self.id}", "topic", topic=self.id)  # its page says that it moved
        words = CLAIMED.format(agent=agent.handle, gateway=holder.name)
        agent_id = where.gateway_agent_id
        task.claim(session, holder.gateway_id, agent_id, where.session_key, holder.epoch, now, words)
        return None, True, True

    def _delegate(self, session: Session, agent: Agent, task: Task, now: datetime) -> str | None:
        """Hands the task over; or says why that cannot be now."""
        if not agent.has_room(session, agent.max_tasks):
            return AT_WORK.format(agent=agent.handle)
        chosen = agent.choose(session, task.only_session, now)
        if chosen is None:
            return Agent.why_not(agent, False)
        task.delegate(session, chosen.token, chosen.session_id, chosen.registration, f"Given to {agent.handle}.")
        return None


# -- what is asked for every message ---------------------------------------------------------------------------------


@prepared
def _last_queued(topic_id: int, agent_id: int) -> Select[Task]:
    own = (Task.topic_id == topic_id, Task.agent_id == agent_id, Task.parent_id.is_(None))
    query = select(Task).where(*own, Task.status == TaskStatus.QUEUED).order_by(Task.id.desc()).limit(1)
    return query.with_for_update(key_share=True)


@prepared
def _locked_agents(topic_id: int, ids: Sequence[int]) -> Select[Agent]:
    waiting = select(Task.agent_id).where(Task.topic_id == topic_id, Task.waits_its_turn())
    return locking(Agent, or_(among(Agent.id, ids), Agent.id.in_(waiting)))


@prepared
def _locked_waiting(topic_id: int, agent_ids: Sequence[int]) -> Select[Task]:
    return locking(Task, Task.topic_id == topic_id, Task.waits_its_turn(), among(Task.agent_id, agent_ids))


@prepared
def _running(topic_id: int) -> Select[bool]:
    # A task that waits for a person's decision does not hold up the answer to it.
    running = (Task.topic_id == topic_id, one_of(Task.status, RUNNING), Task.pending_tool_call.is_(None))
    return select(exists().where(*running))
