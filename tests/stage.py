"""The stage of page tests: a creative with a topic, who may do what in it, and an agent that comes and goes.

Unlike the cast it is committed: a browser looks at it.
"""

import uuid
from dataclasses import dataclass

import flask
from sqlalchemy import delete

from models import registration
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.base import database_time
from models.creative import Creative, Level
from models.database import transaction
from models.task import Task, TaskStatus
from models.topic import Posted, Topic
from models.user import Role, User
from tests.visitor import Visitor, newcomer
from webapp.advance import advance_due_topics


@dataclass
class Stage:
    """Alice owns Docs with the topic Release; Ada may write there, Bob may read it, Mallory may not. Scout is hers."""

    app: flask.Flask
    alice: User
    ada: User
    bob: User
    mallory: User
    docs_id: int
    topic_id: int
    scout_id: int

    @classmethod
    def enter(cls, app: flask.Flask) -> "Stage":
        """Everybody is new each time."""
        alice, ada, mallory = (newcomer(name=name) for name in ("Alice", "Ada", "Mallory"))
        bob = newcomer(Role.VIEWER, "Bob")
        with transaction() as session:
            docs = Creative.create(session, alice, "Docs")
            docs.share(session, Level.FEEDBACK, user_id=ada.id)
            docs.share(session, Level.READ, user_id=bob.id)
            now = database_time(session)
            scout, _, _ = registration.register(session, alice, "scout", "laptop", "my-repo", now)
            topic = Topic.create(session, docs, "Release 2.4", scout.id)
            return cls(app, alice, ada, bob, mallory, docs.id, topic.id, scout.id)

    def visitor(self, user: User) -> Visitor:
        """A browser in which this person is signed in."""
        return Visitor(self.app).sign_in(user)

    def post(self, text: str, user: User | None = None, topic_id: int | None = None) -> Posted:
        """Somebody (Alice) says something."""
        with transaction() as session:
            topic = Topic.locked(session, topic_id or self.topic_id)
            assert topic is not None
            return topic.post(session, user or self.alice, text, database_time(session))

    def topic(self, name: str, agent_id: int | None = None) -> int:
        """A new topic in Docs."""
        with transaction() as session:
            return Topic.create(session, session.get_one(Creative, self.docs_id), name, agent_id).id

    def connect(self) -> str:
        """A session of scout is there and gets what waits; the token of its connection."""
        token = uuid.uuid4().hex
        with transaction() as session:
            Agent.subscribe(session, self.scout_id, "laptop", token, None)
        advance_due_topics()
        return token

    def disconnect(self, token: str) -> None:
        """Its connection is lost: the grace window begins."""
        with transaction() as session:
            Agent.unsubscribe(session, token)

    def grace_ends(self, token: str) -> None:
        """The grace window of a lost connection is over."""
        with transaction() as session:
            [agent] = Agent.locked(session, self.scout_id)
            [row] = [row for row in AgentSubscription.of(session, self.scout_id) if row.token == token]
            agent.end_grace(session, row, database_time(session))

    def away(self) -> None:
        """No session of scout is left, as after its grace window."""
        with transaction() as session:
            session.execute(delete(AgentSubscription))

    def answer(self, task_id: int, text: str) -> int:
        """Scout answers; the id of its message."""
        with transaction() as session:
            task = session.get_one(Task, task_id)
            topic = Topic.locked(session, task.topic_id)
            assert topic is not None
            agent = session.get_one(Agent, self.scout_id)
            return topic.reply(session, agent, text, task, None, database_time(session)).id

    def end(self, task_id: int, status: TaskStatus, why: str) -> None:
        """A task comes to nothing, by the hub."""
        with transaction() as session:
            [task] = Task.locked(session, [task_id])
            task.finish(session, status, why, database_time(session), "hub")
