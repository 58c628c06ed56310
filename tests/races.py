"""A scene for races: doors that run at the same moment on their own connections, and what must be true afterwards."""

import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, text, update

from models import answering, deciding, registration
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.arrivals import Arrival
from models.base import database_time
from models.creative import Creative
from models.database import Database, repeated, transaction
from models.errors import Refusal
from models.message import Message
from models.permission_request import Kind, PermissionRequest, Prompt
from models.task import OPEN, Task, TaskStatus
from models.topic import Topic
from models.user import Role, User
from webapp.advance import advance_due_topics, advance_topic
from webapp.cable import agent_channel
from webapp.together import Together

ROUNDS = int(os.environ.get("ROUNDS", "50"))
OVER = timedelta(seconds=31)  # past a grace window, and not yet stale

Door = Callable[[], Any]

LOST = text(
    "SELECT id FROM tasks t WHERE status = 'delegated'"
    " AND NOT EXISTS (SELECT 1 FROM agent_subscriptions s WHERE s.token = t.sent_to AND s.agent_id = t.agent_id)"
)
DOUBLE = text("SELECT task_id FROM messages WHERE task_id IS NOT NULL GROUP BY task_id HAVING count(*) > 1")
UNLINKED = text("SELECT id FROM tasks WHERE (status = 'done') <> (reply_message_id IS NOT NULL)")
CROWDED = text(
    "SELECT topic_id FROM tasks WHERE status IN ('claimed', 'delegated') AND pending_tool_call IS NULL"
    " GROUP BY topic_id HAVING count(*) > 1"
)
RUNNING = text("SELECT count(*) FROM tasks WHERE agent_id = :agent AND status IN ('claimed', 'delegated')")
LIVE = text("SELECT count(*) FROM agent_subscriptions WHERE agent_id = :agent AND dropped_at IS NULL")


def at_once(*doors: Door) -> list[Any]:
    """Runs the doors at the same moment; what each gave, or the refusal it got. Other errors fail the test."""
    barrier, found = threading.Barrier(len(doors)), [None] * len(doors)

    def run(place: int, door: Door) -> None:
        barrier.wait(10)
        try:
            found[place] = door()
        except Exception as error:
            found[place] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(doors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for outcome in found:
        if isinstance(outcome, Exception) and not isinstance(outcome, Refusal):
            raise outcome
    return found


@dataclass
class Scene:
    """One person, one agent, two shared topics and the topic of its session; used again round after round."""

    user: User
    agent_id: int
    topic_ids: list[int]
    session_topic_id: int

    @classmethod
    def enter(cls, database_url: str) -> "Scene":
        """Everybody is new; committed."""
        Database.repeats = 0
        with transaction() as session:
            now = database_time(session)
            user = User.create(session, f"{uuid.uuid4().hex[:8]}@example.org", "Alice", Role.MEMBER)
            agent, own, _ = registration.register(session, user, "scout", "laptop", "my-repo", now)
            docs = Creative.create(session, user, "Docs")
            topics = [Topic.create(session, docs, name, agent.id).id for name in ("One", "Two")]
            return cls(user, agent.id, topics, own.id)

    def clear(self, keep_seconds: int = 0) -> None:
        """An empty stage: nobody is there, nothing is open."""
        with transaction() as session:
            session.execute(delete(AgentSubscription))
            ended = {"status": TaskStatus.CANCELLED, "finished_at": database_time(session), "advance_due_at": None}
            session.execute(update(Task).where(Task.status.in_(OPEN)).values(**ended, until=None, suspended_for=None))
            session.execute(update(Task).values(untold_at=None))
            session.get_one(Topic, self.session_topic_id).archived_at = None
            session.get_one(Agent, self.agent_id).keep_seconds = keep_seconds

    # -- doors -------------------------------------------------------------------------------------------------

    def subscribe(self, session_id: str = "laptop") -> str:
        """A session comes, as through the cable; the token of its connection."""
        token = uuid.uuid4().hex
        # As in a process of its own: those of one process come together, and would never race.
        arrival = Arrival(self.agent_id, self.user.id, session_id, token, None)
        arrived = Together(agent_channel.subscribe_all).ask(arrival)
        if arrived.outcome in agent_channel.ALONE:
            agent_channel.subscribe_alone(arrival, arrived)
        advance_due_topics()
        return token

    def subscribe_many(self, *agent_ids: int) -> list[str]:
        """Sessions of several agents come to one process at once; the tokens of their connections."""
        coming = [Arrival(id, self.user.id, "laptop", uuid.uuid4().hex, None) for id in agent_ids]
        for arrival, arrived in zip(coming, agent_channel.subscribe_all(coming), strict=True):
            if arrived.outcome in agent_channel.ALONE:
                agent_channel.subscribe_alone(arrival, arrived)
        return [arrival.token for arrival in coming]

    def leave(self, token: str) -> None:
        """A connection ends, as through the cable."""
        if not Together(agent_channel.leave_all).ask(token):
            agent_channel.leave_alone(token)

    def post(self, topic: int = 0, words: str = "work") -> int:
        """A person writes; the id of the task."""
        return repeated(self._post)(self.topic_ids[topic], words)

    def _post(self, topic_id: int, words: str) -> int:
        with transaction() as session:
            topic = Topic.locked(session, topic_id)
            assert topic is not None
            return topic.post(session, self.user, words, database_time(session)).tasks[0].id

    def reply(self, task_id: int) -> int:
        """The plugin answers the attempt it was given; the id of the message."""
        with transaction() as session:
            task = session.get_one(Task, task_id)
            topic_id, generation = task.topic_id, task.generation
        found = repeated(self._reply)(task_id, topic_id, generation)
        advance_due_topics()
        return found

    def _reply(self, task_id: int, topic_id: int, generation: str | None) -> int:
        with transaction() as session:
            now = database_time(session)
            return answering.answer(session, self.user, topic_id, "done", task_id, generation, now, (), str).message.id

    def unregister(self) -> None:
        """The plugin says goodbye."""
        repeated(self._unregister)()
        advance_due_topics()

    def _unregister(self) -> None:
        with transaction() as session:
            agent, now = session.get_one(Agent, self.agent_id), database_time(session)
            registration.unregister(session, self.user, agent, self.session_topic_id, "laptop", now)

    def cancel(self, task_id: int) -> None:
        """A person ends a task."""
        repeated(self._cancel)(task_id)
        advance_due_topics()

    def _cancel(self, task_id: int) -> None:
        with transaction() as session:
            task = session.get_one(Task, task_id)
            topic = Topic.locked(session, task.topic_id)
            assert topic is not None
            topic.cancel(session, task, "Alice", database_time(session))

    def ask(self, task_id: int) -> int:
        """A tool of the plugin asks; the id of the approval."""
        with transaction() as session:
            task = session.get_one(Task, task_id)
            topic = Topic.locked(session, task.topic_id)
            assert topic is not None
            prompt = Prompt(Kind.TOOL, uuid.uuid4().hex[:5], self.user.id, tool_name="Bash")
            said = topic.notice(session, "May it?")
            return PermissionRequest.ask(session, prompt, task.agent_id, topic.id, task.id, said.id).id

    def decide(self, request_id: int, behavior: str) -> str:
        """A person decides; what."""
        return repeated(self._decide)(request_id, behavior)

    def _decide(self, request_id: int, behavior: str) -> str:
        with transaction() as session:
            deciding.decide(session, self.user, request_id, behavior, None, database_time(session), str)
            return behavior

    def advance(self, topic: int = 0) -> None:
        """One topic is looked at, as after a commit."""
        advance_topic(self.topic_ids[topic])

    # -- afterwards --------------------------------------------------------------------------------------------

    def task(self, id: int) -> Task:
        """The task as it is now."""
        with transaction() as session:
            return session.get_one(Task, id)

    def replies(self, task_id: int) -> int:
        """How many answers of it are stored."""
        with transaction() as session:
            return session.query(Message).filter(Message.task_id == task_id).count()

    def live(self) -> int:
        """How many of the agent's sessions are live."""
        with transaction() as session:
            return session.execute(LIVE, {"agent": self.agent_id}).scalar_one()

    def check(self) -> None:
        """What is true after every round, asked by SQL."""
        with transaction() as session:
            for query, what in (
                (LOST, "delegated tasks without a live or graced session"),
                (DOUBLE, "tasks with two answers"),
                (UNLINKED, "done without an answer, or answered and not done"),
                (CROWDED, "topics with two running tasks"),
            ):
                assert session.execute(query).scalars().all() == [], what
            agent, now = session.get_one(Agent, self.agent_id), database_time(session)
            live = session.execute(LIVE, {"agent": agent.id}).scalar_one()
            assert agent.routable(session, now) == (live > 0), "routable exactly when a live row exists"
            used = session.execute(RUNNING, {"agent": agent.id}).scalar_one()
            assert agent.has_room(session, used + 1) and not (used and agent.has_room(session, used)), "capacity"
        assert Database.repeats == 0, f"{Database.repeats} deadlocks"
