"""How a chat takes a seat and leaves it. A part of `ChatSession`, in a file of its own.

Locks: the pool, then the seats, then the chats. Under the pool's lock nobody else changes who sits where or who waits:
what was read then is still so when the chats are locked.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from models.chat_pool import ChatPool, WhenFull
from models.chat_slot import ChatSlot
from models.errors import WrongState
from models.gateway_request import GatewayRequest, RequestStatus, Verb
from models.task import Task

DELETED = "This chat was deleted. Open a new one."
# A gateway that is away is reset when it is back, if that is soon.
RESET_WITHIN = timedelta(hours=1)


class TakesSeat:
    """The seat of a chat. Expects the columns and verbs of `ChatSession`."""

    id: Any
    user_id: Any
    topic_id: Any
    gateway_id: Any
    workspace_agent: Any
    state: Any
    pool_id: Any
    slot_id: Any
    former_slot_id: Any
    fallback: Any
    number: Any
    waiting_since: Any
    seated_at: Any
    answered_by: Any
    fresh_since: Any
    reset_request_id: Any
    last_active_at: Any
    deleted_at: Any

    @classmethod
    def ensure_ready(cls: Any, session: Session, id: int, now: datetime) -> Any:
        """The chat, ready to be written to: on its seat, on a new one, answered by the workspace agent, or in line.

        An expired one takes a seat again without a word. Raises WrongState for a deleted one.
        """
        if cls.touch(session, id, now):
            return cls.get(session, id)
        return cls.allocate(session, id, now)

    @classmethod
    def allocate(cls: Any, session: Session, id: int, now: datetime) -> Any:
        """A place for a chat: its living seat, else its former one if that is free, else the first free one.

        None free: in line, or the workspace agent, as the pool says; without a pool, or without a seat in service that
        anybody could wait for, the workspace agent. Raises WrongState for a deleted one.
        """
        seen = cls.get(session, id)
        serving = ChatPool.of(session, seen.gateway_id, seen.workspace_agent)
        pools = ChatPool.locked(session, serving, seen.pool_id)
        seen = cls.get(session, id)
        if seen.state == "deleted":
            raise WrongState(DELETED)
        pool = pools.get(serving) if serving is not None else None
        held = None
        if seen.slot_id is not None:
            [held] = ChatSlot.locked(session, ChatSlot.id == seen.slot_id)
            if held.is_in_service:
                cls.locked(session, cls.id == id)
                cls.touch(session, id, now)
                return cls.get(session, id)
        prefer = seen.slot_id or seen.former_slot_id
        slot = None if pool is None else ChatSlot.take(session, pool.id, prefer, seen.workspace_agent)
        some = slot is not None or (pool is not None and ChatSlot.any_in_service(session, pool.id))
        if some and slot is None and seen.state == "waiting" and seen.pool_id == serving:
            return seen
        [chat] = cls.locked(session, cls.id == id)
        chat._rise(session, held, now)
        if slot is not None:
            chat._sit(session, slot, now)
        elif pool is not None and some and pool.when_full == WhenFull.WAIT:
            chat._wait(session, pool, now)
        else:
            chat._fall_back(session, now)
        return chat

    @classmethod
    def release(
        cls: Any, session: Session, id: int, now: datetime, state: str = "expired", only_over: bool = False
    ) -> bool:
        """The chat leaves its seat, or the line, and rests (or is deleted); the seat goes to the next in line.

        `only_over`: only if it is still over (`over_idle`) under the lock. Says whether anything changed.
        """
        seen = cls.get(session, id)
        pools = ChatPool.locked(session, seen.pool_id)
        seen = cls.get(session, id)
        if seen.state in ("deleted", state) or (seen.pool_id is not None and seen.pool_id not in pools):
            return False
        slot = ChatSlot.locked(session, ChatSlot.id == seen.slot_id)[0] if seen.slot_id is not None else None
        return bool(cls.leave(session, id, slot, now, state, only_over))

    @classmethod
    def leave(
        cls: Any, session: Session, id: int, slot: ChatSlot | None, now: datetime, state: str, only_over: bool
    ) -> bool:
        """The same for a chat whose pool and seat are locked."""
        next_id = cls._next_in_line(session, slot) if slot is not None and slot.is_in_service else None
        chats = {chat.id: chat for chat in cls.locked(session, cls.id == id, cls.id == next_id)}
        chat = chats[id]
        if only_over and session.scalars(select(cls.id).where(cls.id == id, cls.is_over(now))).first() is None:
            return False
        chat._rise(session, slot, now)
        chat.state, chat.fallback, chat.number, chat.waiting_since = state, False, None, None
        chat.pool_id = None
        if state == "deleted":
            chat.deleted_at = now
        chat.changed(session)
        if next_id is not None and slot is not None:
            chats[next_id]._sit(session, slot, now)
        return True

    @classmethod
    def hand_on(cls: Any, session: Session, pool_id: int, now: datetime) -> list[int]:
        """Seats those in line while there are free seats, under the pool's lock. The chats' ids."""
        line = session.scalars(
            select(cls.id).where(cls.pool_id == pool_id, cls.state == "waiting").order_by(cls.number)
        ).all()
        pairs: list[tuple[int, ChatSlot]] = []
        free = ChatSlot.free(session, pool_id, len(line))
        for id in line:
            chat = cls.get(session, id)
            fits = [slot for slot in free if slot.name.lower() != chat.workspace_agent.lower()]
            slot = next((slot for slot in fits if slot.id == chat.former_slot_id), fits[0] if fits else None)
            if slot is not None:
                free.remove(slot)
                pairs.append((id, slot))
        chats = {chat.id: chat for chat in cls.locked(session, cls.id.in_([id for id, _ in pairs]))} if pairs else {}
        for id, slot in pairs:
            chats[id]._sit(session, slot, now)
        return [id for id, _ in pairs]

    @classmethod
    def stop_waiting(cls: Any, session: Session, pool_id: int, now: datetime) -> None:
        """Nobody waits here any more: who did is answered by the workspace agent. Under the pool's lock."""
        for chat in cls.locked(session, and_(cls.pool_id == pool_id, cls.state == "waiting")):
            chat._fall_back(session, now)

    @classmethod
    def _next_in_line(cls: Any, session: Session, slot: ChatSlot) -> int | None:
        waits = (cls.pool_id == slot.pool_id, cls.state == "waiting")
        fits = func.lower(cls.workspace_agent) != slot.name.lower()
        return session.scalars(select(cls.id).where(*waits, fits).order_by(cls.number).limit(1)).first()

    # -- one change of place, under the locks ------------------------------------------------------------------

    def _sit(self: Any, session: Session, slot: ChatSlot, now: datetime) -> None:
        self.state, self.fallback, self.number, self.waiting_since = "active", False, None, None
        self.slot_id, self.pool_id, self.seated_at, self.last_active_at = slot.id, slot.pool_id, now, now
        self._moves_to(session, slot.name, now)
        session.flush()
        slot.sit(session, self.id, self.user_id, now)
        self._go_on(session, now)

    def _fall_back(self: Any, session: Session, now: datetime) -> None:
        self.state, self.fallback, self.number, self.waiting_since = "active", True, None, None
        self.pool_id, self.last_active_at = None, now
        self._moves_to(session, self.workspace_agent, now)
        self._go_on(session, now)

    def _wait(self: Any, session: Session, pool: ChatPool, now: datetime) -> None:
        self.state, self.fallback, self.pool_id = "waiting", False, pool.id
        self.number, self.waiting_since, self.last_active_at = pool.next_number(), now, now
        self.changed(session)

    def _go_on(self: Any, session: Session, now: datetime) -> None:
        self.changed(session)
        Task.mark_due(session, now, topic_ids=[self.topic_id])

    def _rise(self: Any, session: Session, slot: ChatSlot | None, now: datetime) -> None:
        """Leaves its seat: what was said there is taken back at the gateway, so that nothing of it is left."""
        if slot is None:
            return
        self.former_slot_id, self.slot_id = slot.id, None
        self.reset_request_id = self._ask_for_reset(session, slot, now)
        session.flush()
        slot.rise(session, now, self.reset_request_id)

    def _ask_for_reset(self: Any, session: Session, slot: ChatSlot, now: datetime) -> int | None:
        said = (Task.topic_id == self.topic_id, Task.gateway_agent_id == slot.name, Task.session_key.is_not(None))
        key = session.scalar(select(Task.session_key).where(*said).order_by(Task.id.desc()).limit(1))
        if key is None:
            return None
        asked = GatewayRequest.ask(
            session, Verb.RESET_SESSION, slot.gateway_id, None, now, within=RESET_WITHIN, session_key=key
        )
        return asked.id

    def _moves_to(self: Any, session: Session, agent: str, now: datetime) -> None:
        if agent != self.answered_by or not self._is_still_known(session, now):
            self.fresh_since = now
        self.answered_by, self.reset_request_id = agent, None

    def _is_still_known(self: Any, session: Session, now: datetime) -> bool:
        """Whether the agent that answered last still knows what was said: a reset not begun yet is taken back."""
        if self.reset_request_id is None:
            return True
        mine = GatewayRequest.id == self.reset_request_id
        unneeded = update(GatewayRequest).where(mine, GatewayRequest.status == RequestStatus.PENDING)
        words = "Not needed any more: the same chat is back on this seat."
        over = {"status": RequestStatus.REFUSED, "arguments": None, "finished_at": now}
        session.execute(unneeded.values(**over, refusal_code="withdrawn", refusal_text=words))
        status = session.scalar(select(GatewayRequest.status).where(mine))
        return status in (RequestStatus.REFUSED, RequestStatus.EXPIRED)
