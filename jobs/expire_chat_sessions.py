"""Chats past their idle time give up their seats to whoever is next in line; deleted ones are forgotten after a day."""

from datetime import datetime

from jobs.advance_topics import advance_topics
from models import chatting, pool_changes
from models.chat_session import ChatSession
from models.database import repeated, transaction


def expire_chat_sessions(now: datetime) -> int:
    """Lets rest, expires, seats and purges, one chat or pool a transaction; says how many chats were touched."""
    with transaction() as session:
        resting = ChatSession.resting(session)
        over = ChatSession.over(session, now)
        lines = pool_changes.pools_with_a_line(session)
    touched = sum(_rest(id, now) for id in resting)
    touched += sum(_expire(id, now) for id in over)
    touched += sum(_seat(id, now) for id in lines)
    if over or lines:
        advance_topics(now)
    with transaction() as session:
        return touched + chatting.purge(session, now)


@repeated
def _rest(chat_id: int, now: datetime) -> int:
    with transaction() as session:
        ChatSession.rest(session, chat_id, now)
        return 1


@repeated
def _expire(chat_id: int, now: datetime) -> int:
    with transaction() as session:
        return int(ChatSession.release(session, chat_id, now, only_over=True))


@repeated
def _seat(pool_id: int, now: datetime) -> int:
    with transaction() as session:
        return len(pool_changes.seat_who_wait(session, pool_id, now))
