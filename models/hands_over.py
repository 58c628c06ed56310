"""An agent names another one in its answer: the answer is handed over as that agent's task.

A part of `Topic`, in a file of its own. Two agents that name each other would go on for ever, so a chain without a
person's message in between is cut, and the topic says so.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from models import sentences
from models.agent import Agent
from models.gives_work import GivesWork
from models.listeners import called
from models.message import Message
from models.task import Task

MOST_HOPS = 6
MOST_OF_A_PAIR = 3


class HandsOver(GivesWork):
    """What follows from the names in an answer. Expects a topic."""

    def hand_over(
        self: Any, session: Session, message: Message, author: Agent, task: Task | None, now: datetime
    ) -> list[Task]:
        """A task for each agent named in the answer, under the topic's lock; they go after the commit.

        `task` is what was answered: how far its chain has come is how far this one has.
        """
        taking = called(session, self, message.text, author, now)
        hops = (task.hops if task is not None else 0) + 1
        given = []
        for agent in taking.agents:
            words = _cut(session, task, hops, author, agent)
            if words is not None:
                self.notice(session, words)
                continue
            given.append(self.queue(session, message, agent, taking, author.handle, hops))
        if given:
            Task.mark_due(session, now, topic_ids=[self.id])
        return given


def _cut(session: Session, task: Task | None, hops: int, author: Agent, named: Agent) -> str | None:
    """Why this hand-over is one too many; None when it is not."""
    if hops > MOST_HOPS:
        return sentences.CHAIN_CUT.format(agent=author.handle, named=named.handle, times=MOST_HOPS)
    if _times(session, task, {author.id, named.id}) >= MOST_OF_A_PAIR:
        return sentences.PAIR_CUT.format(agent=author.handle, named=named.handle, times=MOST_OF_A_PAIR)
    return None


def _times(session: Session, task: Task | None, pair: set[int]) -> int:
    """How often these two have handed something to each other in the chain that led to this task."""
    times = 0
    while task is not None and task.hops > 0 and task.message_id is not None:
        message = session.get_one(Message, task.message_id)
        times += {message.agent_id, task.agent_id} == pair
        task = session.get(Task, message.task_id) if message.task_id is not None else None
    return times
