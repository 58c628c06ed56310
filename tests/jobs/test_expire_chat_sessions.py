"""The sweep of chats: each on its own connection and transaction, as the timetable runs it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from jobs.expire_chat_sessions import expire_chat_sessions
from jobs.timetable import lines
from models import chatting
from models.base import database_time
from models.chat_session import ChatSession, ChatState
from models.database import Rules, transaction
from models.message import Message
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import User
from tests.cast import Cast
from tests.fleet import NoGateways
from tests.races import at_once
from tests.seats import Seats


@pytest.fixture
def ids(database_url: str) -> Iterator[dict[str, int]]:
    """One seat for which one waits: who sits there, and who waits with a message."""
    with transaction() as session:
        cast = Cast.enter(session)
        seats = Seats.enter(session, cast.alice, cast.now, 1, "wait")
        seated, waiting = seats.open(idle_seconds=5), seats.open(text="Soon?")
        found = {"seated": seated.id, "waiting": waiting.id, "topic": waiting.topic_id, "user": cast.alice.id}
    yield found
    with transaction() as session:
        for chat in ChatSession.all(session):
            ChatSession.release(session, chat.id, database_time(session), state=ChatState.DELETED)


def after(seconds: float) -> datetime:
    with transaction() as session:
        return database_time(session) + timedelta(seconds=seconds)


def state(id: int) -> str:
    with transaction() as session:
        return ChatSession.get(session, id).state


def test_an_idle_chat_expires_and_the_next_in_line_is_seated(ids: dict[str, int]) -> None:
    assert expire_chat_sessions(after(0)) == 0
    assert expire_chat_sessions(after(6)) == 1
    assert (state(ids["seated"]), state(ids["waiting"])) == (ChatState.EXPIRED, ChatState.ACTIVE)
    assert expire_chat_sessions(after(7)) == 0, "a second time changes nothing"


def test_two_processes_that_sweep_at_once_expire_a_chat_once(ids: dict[str, int]) -> None:
    now = after(6)
    found = at_once(lambda: expire_chat_sessions(now), lambda: expire_chat_sessions(now))
    assert sum(found) == 1 and state(ids["waiting"]) == ChatState.ACTIVE


def test_a_deleted_chat_is_forgotten_after_a_day_with_all_that_was_said(ids: dict[str, int]) -> None:
    with transaction() as session:
        user = User.by_id(session, ids["user"])
        assert user is not None
        chatting.delete(session, user, ids["waiting"], database_time(session))
    expire_chat_sessions(after(86000))
    assert state(ids["waiting"]) == ChatState.DELETED
    expire_chat_sessions(after(86500))
    with transaction() as session:
        assert session.get(ChatSession, ids["waiting"]) is None
        assert session.get(Topic, ids["topic"]) is None
        assert session.scalars(select(Message.id).where(Message.topic_id == ids["topic"])).all() == []


def test_work_that_ended_without_an_answer_lets_its_chat_rest(ids: dict[str, int]) -> None:
    with transaction() as session:
        now = database_time(session)
        ChatSession.release(session, ids["seated"], now)
        [task] = Task.locked(session, session.scalars(select(Task.id).where(Task.topic_id == ids["topic"])))
        task.finish(session, TaskStatus.FAILED, "The gateway gave no answer.", now + timedelta(seconds=1), "hub")
    expire_chat_sessions(after(2))
    assert state(ids["waiting"]) == ChatState.IDLE


def test_the_sweep_is_quick_enough_for_chats_with_an_idle_time_of_seconds() -> None:
    [line] = [line for line in lines(Rules(), NoGateways()) if line.name == "expire_chat_sessions"]
    assert line.every_seconds <= 5
