"""How the seats of a gateway are set, resized, drained, put back into service, and found missing.

Who waits is given what comes into service within the same transaction. Locks: pool, seats, chats, tasks.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.broadcast import broadcast
from models.chat_pool import ChatPool, WhenFull, check_agent
from models.chat_session import ChatSession, ChatState
from models.chat_slot import FREE, ChatSlot
from models.errors import Invalid, NotFound
from models.gateway import Gateway

TWICE = "{name} stands there twice. One agent is one seat."
IS_WORKSPACE = "{name} is the workspace agent itself. Its seats are other agents."
ELSEWHERE = "{name} is a seat of another pool of this gateway, and a chat sits on it. Take it back there first."
MOST_SEATS = 200


def set_pool(
    session: Session,
    gateway_id: int,
    workspace_agent: str | None,
    when_full: str,
    names: Sequence[str],
    now: datetime,
) -> list[ChatSlot]:
    """Replaces a pool: these agents are its seats, in this order. Their rows.

    A seat that is named again stays, with its chat; one that is not takes nobody new and goes when its chat has left.
    Raises Invalid (ids, agent, when_full); nothing is changed then.
    """
    wanted = _checked(names, workspace_agent)
    others = select(ChatPool.id).where(ChatPool.gateway_id == gateway_id)
    ChatPool.locked(session, *session.scalars(others))
    pool = ChatPool.named(session, gateway_id, workspace_agent, when_full)
    mine = ChatSlot.locked(session, ChatSlot.gateway_id == gateway_id, ChatSlot.removed_at.is_(None))
    by_name = {slot.name.lower(): slot for slot in mine}
    taken = set(session.scalars(select(ChatSession.slot_id).where(ChatSession.slot_id.is_not(None))))
    found: list[ChatSlot] = []
    for position, name in enumerate(wanted, 1):
        slot = by_name.pop(name.lower(), None)
        if slot is None:
            slot = ChatSlot(gateway_id=gateway_id, pool_id=pool.id, name=name, created_at=now)
            session.add(slot)
        elif slot.pool_id != pool.id and slot.id in taken:
            raise Invalid(ids=ELSEWHERE.format(name=name))
        slot.pool_id, slot.position, slot.draining, slot.leaving = pool.id, position, False, False
        found.append(slot)
    for slot in by_name.values():
        if slot.pool_id == pool.id:
            _take_out(slot, slot.id in taken, now)
    session.flush()
    _settle(session, pool, now)
    return found


def remove_slot(session: Session, slot_id: int, now: datetime) -> None:
    """Takes one seat out of its pool, at once or when its chat has left it. Raises NotFound."""
    pool, slot, is_taken = _locked(session, slot_id)
    _take_out(slot, is_taken, now)
    session.flush()
    _settle(session, pool, now)


def drain(session: Session, slot_id: int, now: datetime) -> None:
    """It takes nobody new; its chat leaves it as soon as nothing is open there. Raises NotFound."""
    pool, slot, _ = _locked(session, slot_id)
    slot.draining = True
    session.flush()
    holder = session.scalar(select(ChatSession.id).where(ChatSession.slot_id == slot_id))
    if holder is not None:
        ChatSession.leave(session, holder, slot, now, ChatState.EXPIRED, only_over=True)
    _stop_the_line(session, pool, now)


def put_back(session: Session, slot_id: int, now: datetime) -> None:
    """In service again, after a drain, or made anew by the gateway. Raises NotFound."""
    pool, slot, _ = _locked(session, slot_id)
    slot.draining, slot.leaving, slot.missing_since = False, False, None
    session.flush()
    _settle(session, pool, now)


def set_when_full(session: Session, pool_id: int, when_full: str, now: datetime) -> None:
    """What becomes of a chat that finds every seat taken. Raises NotFound, Invalid (when_full)."""
    pool = ChatPool.locked(session, pool_id).get(pool_id)
    if pool is None:
        raise NotFound("There is no such pool of seats.")
    if when_full not in list(WhenFull):
        raise Invalid(when_full=f"Choose one of {', '.join(WhenFull)}.")
    pool.when_full = when_full
    session.flush()
    _settle(session, pool, now)


def agents_listed(session: Session, gateway: Gateway, ids: Collection[str], now: datetime) -> list[str]:
    """The gateway listed exactly these agents: what vanished is out of service, what is back takes who waits.

    The names of the seats that have just gone missing; the gateway's timeline says so.
    """
    pools = ChatPool.locked(session, *session.scalars(select(ChatPool.id).where(ChatPool.gateway_id == gateway.id)))
    gone = ChatSlot.mark_vanished(session, gateway.id, ids, now)
    for name in gone:
        gateway.note(session, "seat_missing", f"{gateway.name} no longer lists {name}: the seat is out of service.")
    for pool in pools.values():
        _settle(session, pool, now)
    return gone


def seat_who_wait(session: Session, pool_id: int, now: datetime) -> list[int]:
    """Whoever waits while there is a free seat sits down: the last net, for the sweep. Which chats."""
    pool = ChatPool.locked(session, pool_id).get(pool_id)
    return [] if pool is None else _settle(session, pool, now)


def pools_with_a_line(session: Session) -> list[int]:
    """Pools in which somebody waits though a seat is free, by id."""
    free = select(ChatSlot.pool_id).where(ChatSlot.in_service(), FREE)
    waits = select(ChatSession.pool_id).where(ChatSession.state == ChatState.WAITING, ChatSession.pool_id.in_(free))
    return sorted({id for id in session.scalars(waits) if id is not None})


def _settle(session: Session, pool: ChatPool, now: datetime) -> list[int]:
    """Seats who wait; whoever can no longer wait here is answered by the workspace agent. Which chats took a seat."""
    seated = ChatSession.hand_on(session, pool.id, now)
    _stop_the_line(session, pool, now)
    return seated


def _stop_the_line(session: Session, pool: ChatPool, now: datetime) -> None:
    if pool.when_full == WhenFull.FALLBACK or not ChatSlot.any_in_service(session, pool.id):
        ChatSession.stop_waiting(session, pool.id, now)
    broadcast(session, "hub", "slots")


def _locked(session: Session, slot_id: int) -> tuple[ChatPool, ChatSlot, bool]:
    pool_id = session.scalar(select(ChatSlot.pool_id).where(ChatSlot.id == slot_id, ChatSlot.removed_at.is_(None)))
    pool = None if pool_id is None else ChatPool.locked(session, pool_id).get(pool_id)
    found = ChatSlot.locked(session, ChatSlot.id == slot_id, ChatSlot.removed_at.is_(None))
    if pool is None or not found:
        raise NotFound("There is no such seat any more.")
    taken = session.scalar(select(ChatSession.id).where(ChatSession.slot_id == slot_id)) is not None
    return pool, found[0], taken


def _take_out(slot: ChatSlot, taken: bool, now: datetime) -> None:
    slot.draining = slot.leaving = True
    if not taken:
        slot.removed_at = now


def _checked(names: Sequence[str], workspace_agent: str | None) -> list[str]:
    wanted = [check_agent(name) for name in names]
    if not 1 <= len(wanted) <= MOST_SEATS:
        raise Invalid(ids=f"Give 1 to {MOST_SEATS} agent ids.")
    for place, name in enumerate(wanted):
        if name.lower() in (other.lower() for other in wanted[:place]):
            raise Invalid(ids=TWICE.format(name=name))
        if workspace_agent is not None and name.lower() == workspace_agent.strip().lower():
            raise Invalid(ids=IS_WORKSPACE.format(name=name))
    return wanted
