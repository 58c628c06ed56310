"""An agent names another one in its answer: the answer is handed over as that agent's task.

A part of `Topic`, in a file of its own. Two agents that name each other would go on for ever, so a chain without a
person's message in between is cut, and the topic says so.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import sentences
from models.agent import Agent
from models.gives_work import GivesWork
from models.listeners import called
from models.message import Message
from models.task import Task
from models.user import User

MOST_HOPS = 6
MOST_OF_A_PAIR = 3


class HandsOver(GivesWork):
    """What follows from the names in an answer. Expects a topic."""

    def reader_locale(self: Any, session: Session, message_id: int | None) -> str:
        """The language of who wrote the message; else of who owns what the topic lives in."""
        author = select(User.locale).join(Message, Message.user_id == User.id).where(Message.id == message_id)
        found = session.scalar(author) if message_id is not None else None
        return found or session.get_one(User, self.creative(session).owner_id).locale

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
            cut = _cut(session, task, hops, author, agent)
            if cut is not None:
                sentence, times = cut
                locale = self.reader_locale(session, None)
                names = {"agent": author.handle, "named": agent.handle, "times": times}
                self.notice(session, sentences.tell(locale, sentence, **names))
                continue
            given.append(self.queue(session, message, agent, taking, author.handle, hops))
        if given:
            Task.mark_due(session, now, topic_ids=[self.id])
        return given


def _cut(session: Session, task: Task | None, hops: int, author: Agent, named: Agent) -> tuple[str, int] | None:
    """Why this hand-over is one too many, and how many there were; None when it is not."""
    if hops > MOST_HOPS:
        return sentences.CHAIN_CUT, MOST_HOPS
    if _times(session, task, {author.id, named.id}) >= MOST_OF_A_PAIR:
        return sentences.PAIR_CUT, MOST_OF_A_PAIR
    return None


def _times(session: Session, task: Task | None, pair: set[int]) -> int:
    """How often these two have handed something to each other in the chain that led to this task."""
    times = 0
    while task is not None and task.hops > 0 and task.message_id is not None:
        message = session.get_one(Message, task.message_id)
        times += {message.agent_id, task.agent_id} == pair
        task = session.get(Task, message.task_id) if message.task_id is not None else None
    return times
