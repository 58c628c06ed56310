"""Chats and seats as plain rows: what programs list and pages show. One statement each, however many there are."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, case, exists, func, literal, null, or_, select
from sqlalchemy.orm import Session, aliased

from models.agent import Agent
from models.chat_pool import ChatPool
from models.chat_session import LIVE, ChatSession, ChatState
from models.chat_slot import ChatSlot
from models.gateway import Gateway
from models.prepared import Few, among, prepared, rows
from models.task import Task
from models.topic import Topic
from models.user import User

# The state as it is told: one whose work ended without an answer rests, whether the sweep has seen it or not.
_DID = exists().where(Task.topic_id == ChatSession.topic_id, Task.finished_at >= ChatSession.last_active_at)
_RESTS = and_(ChatSession.state == ChatState.ACTIVE, _DID, ~ChatSession.is_at_work())
STATE = case((_RESTS, literal(ChatState.IDLE.value)), else_=ChatSession.state)


def chats(user_id: int) -> Select[*tuple[Any, ...]]:
    """This person's chats, deleted ones too: as the API shows them, with agent, gateway, seat and pool for pages."""
    return all_chats().where(ChatSession.user_id == user_id)


def chat(session: Session, user_id: int, id: int) -> Row[Any] | None:
    """One of them, None when it is not this person's."""
    return next(iter(rows(session, *_chat(user_id, id))), None)


@prepared
def _chat(user_id: int, id: int) -> Select[*tuple[Any, ...]]:
    return chats(user_id).where(ChatSession.id == id)


def page_of_chats(session: Session, user_id: int, archived: bool, limit: int) -> Sequence[Row[Any]]:
    """Those of this person that were put away, or were not; the last used first."""
    return rows(session, *_page(user_id, archived, limit))


@prepared
def _page(user_id: int, archived: bool, limit: Few) -> Select[*tuple[Any, ...]]:
    return by_use(user_id, archived).limit(limit)


def by_use(user_id: int, archived: bool) -> Select[*tuple[Any, ...]]:
    """The same without a limit."""
    put_away = ChatSession.archived_at.is_not(None) if archived else ChatSession.archived_at.is_(None)
    found = chats(user_id).where(ChatSession.state != ChatState.DELETED, put_away)
    return found.order_by(ChatSession.last_active_at.desc(), ChatSession.id.desc())


def line(session: Session) -> Sequence[Row[Any]]:
    """Everybody's chats that wait for a seat, in their order."""
    return rows(session, *_line())


@prepared
def _line() -> Select[*tuple[Any, ...]]:
    waits = all_chats().where(ChatSession.state == ChatState.WAITING)
    return waits.order_by(Gateway.name, ChatSession.pool_id, ChatSession.number)


def all_chats() -> Select[*tuple[Any, ...]]:
    """Everybody's chats; `place` is the one in the line, from 1."""
    before = aliased(ChatSession)
    ahead = (before.pool_id == ChatSession.pool_id, before.state == "waiting", before.number <= ChatSession.number)
    place = select(func.count()).where(*ahead).correlate(ChatSession).scalar_subquery()
    ends = ChatSession.last_active_at + func.make_interval(0, 0, 0, 0, 0, 0, ChatSession.idle_seconds)
    lives = ChatSession.state.in_(LIVE)
    shown = (
        ChatSession.id,
        case((ChatSession.titled, Topic.name), else_=null()).label("title"),
        ChatSession.agent_id,
        ChatSession.topic_id,
        ChatSession.user_id,
        STATE.label("state"),
        ChatSession.slot_id,
        case((lives, ChatSession.answered_by), else_=null()).label("gateway_agent_id"),
        ChatSession.fallback,
        case((ChatSession.state == ChatState.WAITING, place), else_=null()).label("place"),
        ChatSession.waiting_since,
        ChatSession.pool_id,
        ChatSession.idle_seconds,
        ChatSession.last_active_at,
        case((lives, ends), else_=null()).label("expires_at"),
        ChatSession.created_at,
        ChatSession.archived_at,
        ChatSession.working_directory,
        ChatSession.workspace_agent,
        Agent.handle.label("agent_short"),
        User.name.label("person"),
        Gateway.name.label("gateway_name"),
        ChatSlot.name.label("slot_name"),
        ChatSlot.position.label("slot_number"),
        ChatSession.is_at_work().label("at_work"),
    )
    return (
        select(*shown)
        .select_from(ChatSession)
        .join(Topic, Topic.id == ChatSession.topic_id)
        .join(Agent, Agent.id == ChatSession.agent_id)
        .join(User, User.id == ChatSession.user_id)
        .join(Gateway, Gateway.id == ChatSession.gateway_id)
        .outerjoin(ChatSlot, ChatSlot.id == ChatSession.slot_id)
    )


def slots() -> Select[*tuple[Any, ...]]:
    """All seats with who sits there; those of gateways that were removed are left out."""
    ends = ChatSession.last_active_at + func.make_interval(0, 0, 0, 0, 0, 0, ChatSession.idle_seconds)
    state = case(
        (ChatSlot.missing_since.is_not(None), literal("missing")),
        (ChatSlot.draining, literal("draining")),
        (ChatSession.id.is_not(None), literal("taken")),
        else_=literal("free"),
    )
    shown = (
        ChatSlot.id,
        ChatSlot.pool_id,
        ChatSlot.gateway_id,
        Gateway.name.label("gateway_name"),
        ChatSlot.name,
        ChatSlot.position,
        state.label("state"),
        ChatSlot.leaving,
        ChatSession.id.label("chat_id"),
        ChatSession.user_id.label("holder_id"),
        User.name.label("holder_name"),
        case((ChatSession.titled, Topic.name), else_=null()).label("title"),
        func.coalesce(ChatSession.seated_at, ChatSlot.missing_since).label("since"),
        case((ChatSession.id.is_not(None), ends), else_=null()).label("expires_at"),
        ChatSession.last_active_at,
        ChatSession.idle_seconds,
        case((ChatSession.id.is_not(None), ChatSession.is_at_work()), else_=False).label("at_work"),
    )
    return (
        select(*shown)
        .select_from(ChatSlot)
        .join(Gateway, and_(Gateway.id == ChatSlot.gateway_id, Gateway.removed_at.is_(None)))
        .outerjoin(ChatSession, ChatSession.slot_id == ChatSlot.id)
        .outerjoin(User, User.id == ChatSession.user_id)
        .outerjoin(Topic, Topic.id == ChatSession.topic_id)
        .where(ChatSlot.removed_at.is_(None))
    )


def board(session: Session) -> Sequence[Row[Any]]:
    """All of `slots`, pool by pool."""
    return rows(session, *_board())


@prepared
def _board() -> Select[*tuple[Any, ...]]:
    return slots().order_by(Gateway.name, ChatSlot.pool_id, ChatSlot.position)


def counted() -> Select[int, int]:
    """How many seats are `taken`, of how many that are in service or still held (`seats`)."""
    held = exists().where(ChatSession.slot_id == ChatSlot.id)
    there = Gateway.id.in_(select(ChatSlot.gateway_id)), Gateway.removed_at.is_(None)
    mine = (ChatSlot.removed_at.is_(None), ChatSlot.gateway_id.in_(select(Gateway.id).where(*there)))
    there_are = func.count().filter(or_(held, ChatSlot.in_service())).label("seats")
    return select(func.count().filter(held).label("taken"), there_are).select_from(ChatSlot).where(*mine)


class Next(NamedTuple):
    """When a seat is expected to be free, and which."""

    at: datetime
    slot_name: str


def estimates(session: Session, pool_ids: Sequence[int], now: datetime) -> dict[int, list[Next]]:
    """For each pool when its seats are expected to be free, the soonest first: whoever waits at place n gets the nth.

    A seat that is being used right now is counted from now on, so this is the earliest that can be promised.
    """
    found: dict[int, list[Next]] = {id: [] for id in pool_ids}
    for row in rows(session, *_seated(pool_ids)):
        at = now + timedelta(seconds=row.idle_seconds) if row.at_work else max(row.expires_at, now)
        found[row.pool_id].append(Next(at, row.name))
    return {id: sorted(some) for id, some in found.items()}


@prepared
def _seated(pool_ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    return slots().where(among(ChatSlot.pool_id, pool_ids), ChatSlot.in_service(), ChatSession.id.is_not(None))


def pools(session: Session) -> Sequence[Row[Any]]:
    """All pools, with gateway and how many wait there."""
    return rows(session, *_pools())


@prepared
def _pools() -> Select[*tuple[Any, ...]]:
    waits = select(func.count()).where(ChatSession.pool_id == ChatPool.id, ChatSession.state == ChatState.WAITING)
    return (
        select(
            ChatPool.id,
            ChatPool.gateway_id,
            Gateway.name.label("gateway_name"),
            ChatPool.workspace_agent,
            ChatPool.when_full,
            waits.scalar_subquery().label("waiting"),
        )
        .join(Gateway, and_(Gateway.id == ChatPool.gateway_id, Gateway.removed_at.is_(None)))
        .order_by(Gateway.name, ChatPool.id)
    )
