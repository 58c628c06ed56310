"""A topic that is a chat: its seat is taken before work is given out, and rests when the answer has come.

A part of `Topic`, in a file of its own. Chats are locked after agents and before tasks.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.chat_session import ChatSession, ChatState, title_of
from models.task import Task


class HasSeat:
    """The seat of a topic. Expects the columns and verbs of `Topic`; a topic that is no chat has none."""

    id: Any
    chat_id: Any

    def take_seat(
        self: Any,
        session: Session,
        agents: Collection[int],
        words: str | None,
        now: datetime,
    ) -> None:
        """Work is about to be given to these agents: the chat's own is made ready; the first words name the chat.

        Raises WrongState for a deleted chat.
        """
        chat = self._chat(session)
        if chat is None:
            return
        if words is not None and not chat.titled:
            self.name, chat.titled = title_of(words), True
            session.flush()
        if chat.agent_id in agents or chat.state == ChatState.DELETED:
            ChatSession.ensure_ready(session, chat.id, now)

    def keep_seat(self, session: Session, agents: Collection[int], now: datetime) -> None:
        """The same for work that waits here already, if there is any."""
        chat = self._chat(session)
        if chat is None or chat.agent_id not in agents:
            return
        waits = (
            Task.topic_id == self.id,
            Task.agent_id == chat.agent_id,
            Task.waits_its_turn(),
        )
        if session.scalars(select(Task.id).where(*waits).limit(1)).first() is not None:
            ChatSession.ensure_ready(session, chat.id, now)

    def rest(self, session: Session, task_id: int, now: datetime) -> None:
        """This task is about to end."""
        if self.chat_id is not None:
            ChatSession.rest(session, self.chat_id, now, ending=task_id)

    def _chat(self, session: Session) -> ChatSession | None:
        return None if self.chat_id is None else ChatSession.get(session, self.chat_id)
