"""What people do with their chats: open one, write to it, name it, put it away, delete it; and take a seat back.

A chat's messages live in a topic of its own, in the inbox of its person; all of it happens under that topic's lock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Row, or_, select
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Session

from models.activity import Activity, ActivityKind
from models.agent import Agent, AgentKind
from models.chat_pool import ChatPool
from models.chat_session import LIVE, ChatSession, ChatState
from models.chat_slot import ChatSlot
from models.creative import Creative
from models.database import rules
from models.errors import Forbidden, Invalid, NotFound, WrongState
from models.message import check_text
from models.task import Task, TaskStatus
from models.task_status import RUNNING
from models.topic import Posted, Topic
from models.user import Role, User, check_name

UNTITLED = "New chat"
MOST_IDLE_SECONDS = 30 * 86400
NO_AGENT = "There is no agent {id} that you may chat with."
NOT_BEHIND = "{agent} works through a plugin. A chat needs an agent that lives behind a gateway."
NO_GATEWAY = "{agent} has no gateway. Choose one on its page."
DELETED_BY = "{who} deleted the chat."
CANCELLED_BY = "Cancelled by {who} while it waited for a seat."
TAKEN_BACK = "{who} took the seat back."
AT_WORK = "It is being answered. Wait until the answer has come, or cancel it."


class Opened(NamedTuple):
    """A chat that was opened, and what came of its first message, if it has one."""

    chat: ChatSession
    posted: Posted | None


class Chosen(NamedTuple):
    """What a person may choose when they open a chat."""

    title: str | None = None
    text: str | None = None
    idle_seconds: int | None = None
    working_directory: str | None = None


def open_chat(session: Session, user: User, agent_id: int, chosen: Chosen, now: datetime) -> Opened:
    """A new chat with an agent: it takes a seat at once, waits in line, or is answered by the workspace agent.

    Raises Invalid (agent_id, title, text, idle_seconds, working_directory) or Forbidden (a viewer).
    """
    if not user.is_at_least(Role.MEMBER):
        raise Forbidden("A viewer may read, not write. An admin can change that under People.")
    agent = _agent(session, user, agent_id)
    if chosen.text is not None:
        check_text(chosen.text)
    title = check_name(chosen.title, "title", 160) if chosen.title and chosen.title.strip() else None
    topic = Topic.create(session, Creative.inbox_of(session, user.id), title or UNTITLED)
    chat = ChatSession(
        user_id=user.id,
        agent_id=agent.id,
        topic_id=topic.id,
        gateway_id=agent.gateway_id,
        workspace_agent=agent.gateway_agent_id,
        working_directory=_directory(chosen.working_directory),
        titled=bool(title),
        state=ChatState.EXPIRED,
        idle_seconds=_idle_seconds(chosen.idle_seconds),
        last_active_at=now,
        created_at=now,
    )
    session.add(chat)
    session.flush()
    topic.chat_id, topic.primary_agent_id = chat.id, agent.id
    session.flush()
    posted = topic.post(session, user, chosen.text, now) if chosen.text is not None else None
    if posted is None:
        ChatSession.ensure_ready(session, chat.id, now)
    return Opened(ChatSession.get(session, chat.id), posted)


def say(session: Session, user: User, chat_id: int, text: str, now: datetime, once: str | None = None) -> Posted:
    """Writes to a chat: one that rests wakes up. Raises NotFound, WrongState (deleted), Invalid (text)."""
    chat, topic = _mine(session, user, chat_id)
    if chat.archived_at is not None:
        chat.archived_at = None
    return topic.post(session, user, text, now, once)


def rename(session: Session, user: User, chat_id: int, title: str) -> ChatSession:
    """A title of its own. Raises NotFound, WrongState (deleted), Invalid (title)."""
    chat, topic = _mine(session, user, chat_id)
    topic.rename(session, check_name(title, "title", 160))
    chat.titled = True
    chat.changed(session)
    return chat


def archive(session: Session, user: User, chat_id: int, archived: bool, now: datetime) -> ChatSession:
    """Puts a chat away, or takes it out again; it is written to as before. Raises NotFound, WrongState (deleted)."""
    chat, _ = _mine(session, user, chat_id)
    chat.archived_at = (chat.archived_at or now) if archived else None
    chat.changed(session)
    return chat


def give_back(session: Session, user: User, chat_id: int, now: datetime) -> ChatSession:
    """Its person lets it rest, or leaves the line: what waits in it for a seat is cancelled.

    Raises NotFound, WrongState (deleted, or being answered).
    """
    chat, topic = _mine(session, user, chat_id)
    waited = chat.state == ChatState.WAITING
    if not waited and ChatSession.at_work(session, chat.topic_id):
        raise WrongState(AT_WORK)
    Agent.locked(session, *_working(session, topic))
    ChatSession.release(session, chat_id, now)
    if waited:
        _end_work(session, [topic.id], CANCELLED_BY.format(who=user.name), user.name, now)
    return ChatSession.get(session, chat_id)


def delete(session: Session, user: User, chat_id: int, now: datetime) -> None:
    """Ends a chat: its work is cancelled, its seat goes to the next in line. Raises NotFound, WrongState (deleted)."""
    _, topic = _mine(session, user, chat_id)
    Agent.locked(session, *_working(session, topic))
    _stop_runs(session, topic.id)
    ChatSession.release(session, chat_id, now, state=ChatState.DELETED)
    _end_work(session, [topic.id], DELETED_BY.format(who=user.name), user.name, now)
    topic.archive(session, True, now)


def purge(session: Session, now: datetime) -> int:
    """Forgets chats that were deleted a day ago, with all that was said in them; says how many."""
    topic_ids = ChatSession.purge(session, now)
    session.execute(delete_from(Topic).where(Topic.id.in_(topic_ids)))
    return len(topic_ids)


def take_back(session: Session, user: User, slot_id: int, now: datetime) -> str | None:
    """An operator frees a seat: what runs on it is stopped, its chat rests. The name of the seat, None: it was free."""
    holds = select(ChatSession.topic_id, ChatSession.id, ChatSession.user_id).where(ChatSession.slot_id == slot_id)
    found = session.execute(holds).first()
    topic = None if found is None else Topic.locked(session, found.topic_id)
    if found is None or topic is None:
        return None
    Agent.locked(session, *_working(session, topic))
    chat = ChatSession.get(session, found.id)
    if chat.slot_id != slot_id:
        return None
    _stop_runs(session, topic.id)
    ChatSession.release(session, chat.id, now)
    _end_work(session, [topic.id], TAKEN_BACK.format(who=user.name), user.name, now, RUNNING)
    Task.mark_due(session, now, topic_ids=[topic.id])
    slot = session.get_one(ChatSlot, slot_id)
    words = f"{user.name} took {slot.name} back."
    Activity.record(
        session,
        ActivityKind.PERSON,
        "seat_taken_back",
        words,
        actor=user.name,
        user_id=user.id,
        gateway_id=slot.gateway_id,
    )
    return slot.name


def living(session: Session, *which: ColumnElement[bool]) -> Sequence[Row[int, int, int | None]]:
    """The chats that fit and have a seat, a place in the line, or work: their ids, topics and pools."""
    lives = or_(ChatSession.state.in_((ChatState.WAITING, *LIVE)), ChatSession.is_at_work())
    query = select(ChatSession.id, ChatSession.topic_id, ChatSession.pool_id).where(lives, *which)
    return session.execute(query.order_by(ChatSession.id)).all()


def stop(session: Session, chats: Sequence[Row[int, int, int | None]], why: str, by: str, now: datetime) -> None:
    """Their person, or their agent, is gone: these chats rest, their work is cancelled, their seats go on.

    Their topics, and who works there, are locked by the caller.
    """
    ChatPool.locked(session, *(chat.pool_id for chat in chats))
    for chat in chats:
        _stop_runs(session, chat.topic_id)
        ChatSession.release(session, chat.id, now)
    _end_work(session, [chat.topic_id for chat in chats], why, by, now)


def _mine(session: Session, user: User, chat_id: int) -> tuple[ChatSession, Topic]:
    """The person's chat and its topic under its lock. Raises NotFound, or WrongState for a deleted one."""
    chat = ChatSession.owned_by(session, user.id, chat_id)
    topic = Topic.locked(session, chat.topic_id)
    if topic is None:
        raise NotFound("There is no such chat, or it is not yours.")
    chat = ChatSession.get(session, chat_id)
    if chat.state == ChatState.DELETED:
        raise WrongState("This chat was deleted. Open a new one.")
    return chat, topic


def _agent(session: Session, user: User, agent_id: int) -> Agent:
    agent = session.scalars(Agent.may_chat(user).where(Agent.id == agent_id)).first()
    if agent is None:
        raise Invalid(agent_id=NO_AGENT.format(id=agent_id))
    if agent.kind != AgentKind.GATEWAY:
        raise Invalid(agent_id=NOT_BEHIND.format(agent=agent.handle))
    if agent.gateway_id is None or agent.gateway_agent_id is None:
        raise Invalid(agent_id=NO_GATEWAY.format(agent=agent.handle))
    return agent


def _idle_seconds(given: int | None) -> int:
    if given is None:
        return max(1, round(rules().slot_idle_seconds))
    if isinstance(given, bool) or not 1 <= given <= MOST_IDLE_SECONDS:
        raise Invalid(idle_seconds=f"Give a whole number of seconds from 1 to {MOST_IDLE_SECONDS:,}.")
    return given


def _directory(given: str | None) -> str | None:
    folder = (given or "").strip()
    if len(folder) > 500 or any(not letter.isprintable() for letter in folder):
        raise Invalid(working_directory="Give a folder of at most 500 characters on one line.")
    return folder or None


def _working(session: Session, topic: Topic) -> list[int]:
    open_here = select(Task.agent_id).where(Task.topic_id == topic.id, Task.finished_at.is_(None))
    return list(session.scalars(open_here.distinct()))


def _stop_runs(session: Session, topic_id: int) -> None:
    """Before the session is reset at the gateway: what runs in it is stopped there."""
    for task in session.scalars(select(Task).where(Task.topic_id == topic_id, Task.status.in_(RUNNING))):
        task.stop_run(session)


def _end_work(
    session: Session,
    topic_ids: Sequence[int],
    why: str,
    by: str,
    now: datetime,
    among: tuple[TaskStatus, ...] | None = None,
) -> None:
    which = [Task.topic_id.in_(topic_ids), Task.finished_at.is_(None)]
    if among is not None:
        which.append(Task.status.in_(among))
    for task in Task.locked(session, session.scalars(select(Task.id).where(*which))):
        if task.is_open:
            task.finish(session, TaskStatus.CANCELLED, why, now, by, stop=False)
