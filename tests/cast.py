"""The standing cast: Alice owns, Bob may read, Mallory must never see. Scout is Alice's plugin agent."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from models import registration
from models.agent import Agent
from models.base import database_time
from models.creative import Creative, Level
from models.topic import Topic
from models.user import Role, User


@dataclass
class Cast:
    """Everybody who plays, in one session."""

    session: Session
    now: datetime
    alice: User
    bob: User
    mallory: User
    docs: Creative
    topic: Topic
    scout: Agent
    session_topic: Topic

    @classmethod
    def enter(cls, session: Session) -> "Cast":
        """Adds the cast; addresses are new each time, so that modules may call this more than once."""
        now = database_time(session)
        mark = uuid.uuid4().hex[:6]
        alice, bob, mallory = (
            User.create(session, f"{name.lower()}-{mark}@example.org", name, Role.MEMBER)
            for name in ("Alice", "Bob", "Mallory")
        )
        docs = Creative.create(session, alice, "Docs")
        docs.share(session, Level.READ, user_id=bob.id)
        scout, session_topic, _ = registration.register(session, alice, "scout", "laptop", "my-repo", now)
        topic = Topic.create(session, docs, "Release", scout.id)
        return cls(session, now, alice, bob, mallory, docs, topic, scout, session_topic)

    def connect(self, agent: Agent | None = None, session_id: str | None = "laptop") -> str:
        """A session of the agent is there; returns the token of its connection."""
        token = uuid.uuid4().hex
        Agent.subscribe(self.session, (agent or self.scout).id, session_id, token, None)
        return token
