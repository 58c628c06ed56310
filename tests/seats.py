"""A gateway with seats, and chats that take them: what the tests of seats begin with."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import chatting, pool_changes
from models.agent import Agent, AgentKind
from models.chat_session import ChatSession
from models.chat_slot import ChatSlot
from models.chatting import Chosen
from models.gateway import Gateway
from models.gateway_states import ConnectionState, GatewayState
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import User

WORKSPACE, FALLBACK = "main", "fallback"


@dataclass
class Seats:
    """One gateway, Harbor, with Pilot (its agent `main`) aboard, who belongs to one person."""

    session: Session
    owner: User
    gateway: Gateway
    pilot: Agent
    now: datetime

    @classmethod
    def enter(
        cls, session: Session, owner: User, now: datetime, count: int = 0, when_full: str = "fallback"
    ) -> "Seats":
        """The gateway and the agent, and so many seats: slot-1, slot-2 ..."""
        mark = f"{owner.id}-{session.query(Gateway).count()}"
        gateway = Gateway(
            name=f"harbor-{mark}",
            url=f"ws://127.0.0.1:18789/{mark}",
            address=f"ws://127.0.0.1:18789/{mark}",
            wanted=True,
            state=GatewayState.RUNNING,
            connection=ConnectionState.CONNECTED,
        )
        session.add(gateway)
        session.flush()
        pilot = Agent(
            owner_id=owner.id,
            kind=AgentKind.GATEWAY,
            handle="pilot",
            name="pilot",
            identity_key=f"g-{mark}",
            vendor="openclaw",
            model="openclaw",
            gateway_id=gateway.id,
            gateway_agent_id=WORKSPACE,
        )
        session.add(pilot)
        session.flush()
        seats = cls(session, owner, gateway, pilot, now)
        if count:
            seats.set(*(f"slot-{number}" for number in range(1, count + 1)), when_full=when_full)
        return seats

    def set(self, *names: str, when_full: str = "fallback", agent: str | None = WORKSPACE) -> list[ChatSlot]:
        """Replaces the pool."""
        return pool_changes.set_pool(self.session, self.gateway.id, agent, when_full, names, self.now)

    def open(self, user: User | None = None, text: str | None = None, idle_seconds: int | None = None) -> ChatSession:
        """Somebody (the owner) opens a chat."""
        chosen = Chosen(text=text, idle_seconds=idle_seconds)
        return chatting.open_chat(self.session, user or self.owner, self.pilot.id, chosen, self.now).chat

    def say(self, chat: ChatSession, text: str) -> Task:
        """Its person writes to a chat; the task."""
        user = self.session.get_one(User, chat.user_id)
        return chatting.say(self.session, user, chat.id, text, self.now).tasks[0]

    def sent(self, task: Task) -> Task:
        """The courier sent it to whoever answers this chat."""
        chat = self.session.scalars(select(ChatSession).where(ChatSession.topic_id == task.topic_id)).one()
        task.status, task.gateway_id, task.gateway_agent_id = TaskStatus.DELEGATED, chat.gateway_id, chat.answered_by
        task.session_key = f"agent:{chat.answered_by}:switchyard:{chat.user_id}:topic:{chat.topic_id}:hub:0123abcd"
        task.claimed_at = task.sent_at = self.now
        self.session.flush()
        return task

    def answer(self, task: Task, text: str = "Done.") -> None:
        """Its agent answers."""
        topic = Topic.locked(self.session, task.topic_id)
        assert topic is not None
        topic.reply(self.session, self.session.get_one(Agent, task.agent_id), text, task, None, self.now)

    def later(self, seconds: float) -> datetime:
        """Time passes."""
        self.now += timedelta(seconds=seconds)
        return self.now

    def expire(self) -> list[int]:
        """The sweep; which expired."""
        return ChatSession.expire_idle(self.session, self.now)

    def chat(self, chat: ChatSession) -> ChatSession:
        """The chat as it is now."""
        return ChatSession.get(self.session, chat.id)

    def seat_of(self, chat: ChatSession) -> str | None:
        """The name of its seat."""
        slot_id = self.chat(chat).slot_id
        return None if slot_id is None else self.session.get_one(ChatSlot, slot_id).name
