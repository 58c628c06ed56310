"""`Collavre::AgentChannel`: an agent's session hears its dispatches; a listener hears those of a topic.

Subscribing as an agent is presence: the stream is followed first, then the row is made under the agent's lock, for the
agent can be given work the moment the row commits.
"""

import uuid
import weakref
from typing import Any

import structlog

from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.database import at_once, repeated, transaction
from models.errors import NotFound
from models.task import Task
from models.topic import Topic
from webapp.advance import advance_due_topics
from webapp.cable import payloads
from webapp.cable.channel import Channel
from webapp.hub import Hub
from webapp.metrics import DISPATCHES
from webapp.streams import Heard

log = structlog.get_logger("agent_channel")

# What sockets took in the batch under way: (task id, token). Stamped in one transaction after the batch.
_written: list[tuple[int, str]] = []
_by_token: "weakref.WeakValueDictionary[str, AgentChannel]" = weakref.WeakValueDictionary()


class AgentChannel(Channel):
    """One subscription: of an agent's session (`agent_id`, `session_id`), or of a topic's listener (`topic_id`)."""

    def __init__(self, connection: Any, identifier: str, params: dict[str, Any], hub: Hub) -> None:
        super().__init__(connection, identifier, params)
        self.hub = hub
        self.stream: str | None = None
        self.agent_id: int | None = None
        self._sent: set[tuple[int, int]] = set()

    def subscribed(self) -> bool:
        """Attaches to the agent's stream, or to the topic's. False: not this person's to hear."""
        if (agent_id := _id(self.params.get("agent_id"))) is not None:
            return self._as_agent(agent_id)
        if (topic_id := _id(self.params.get("topic_id"))) is not None:
            return self._as_listener(topic_id)
        return False

    def unsubscribed(self) -> None:
        """Leaves the stream; a presence row starts its grace window, unless someone newer owns the agent."""
        if self.stream is not None:
            self.hub.streams.leave(self.stream, self.hear)
        token, self.presence_token = self.presence_token, None
        if token is not None:
            leave(token)

    @property
    def session_id(self) -> str | None:
        """The session that speaks here, None when it did not say."""
        given = self.params.get("session_id")
        return given.strip()[:255] or None if isinstance(given, str) else None

    def _as_agent(self, agent_id: int) -> bool:
        with transaction() as session:
            agent = Agent.owned_by(session, self.connection.user.id, agent_id)
        if agent is None:
            return False
        self.agent_id = agent.id
        self._follow(agent.stream)
        if agent.is_channel_agent:
            self.come()
            advance_due_topics()
        return True

    def come(self) -> None:
        """Makes this connection's presence row."""
        token = uuid.uuid4().hex
        _by_token[token] = self
        self.presence_token = token
        subscribe(self.agent_id or 0, self.session_id, token, self.hub.process_id)

    def _as_listener(self, topic_id: int) -> bool:
        with transaction() as session:
            try:
                topic = Topic.seen_by(session, self.connection.user, topic_id)
            except NotFound:
                return False
        self._follow(topic.stream)
        return True

    def _follow(self, stream: str) -> None:
        self.stream = stream
        self.hub.streams.follow(stream, self.hear)

    def hear(self, heard: Heard) -> None:
        """One event of the stream: only dispatches are passed on, and those of a task to one session only."""
        if heard.event != "dispatch" or heard.row is None:
            return
        row = heard.row
        if self.presence_token is None:
            self.send(heard.once("payload", lambda: payloads.dispatch(row)))
            return
        attempt = (row.id, row.sends)
        if row.sent_to != self.presence_token or row.status != "delegated" or attempt in self._sent:
            return
        self._sent.add(attempt)
        if self.send(heard.once("payload", lambda: payloads.dispatch(row))):
            DISPATCHES.inc()
            _written.append((row.id, self.presence_token))


@repeated
def subscribe(agent_id: int, session_id: str | None, token: str, process_id: int | None) -> None:
    """The presence row of a connection, in a transaction of its own: one statement when no work is to be judged."""
    with at_once() as session:
        if Agent.subscribe_idle(session, agent_id, session_id, token, process_id):
            return
    with transaction() as session:
        Agent.subscribe(session, agent_id, session_id, token, process_id)


@repeated
def leave(token: str) -> None:
    """The end of a connection, in a transaction of its own."""
    with at_once() as session:
        Agent.unsubscribe(session, token)


def stamp_written() -> None:
    """Notes which dispatches a socket took. What cannot be stamped now is stamped after the next batch."""
    written = _written.copy()
    if not written:
        return
    with transaction() as session:
        Task.sent(session, written)
    del _written[: len(written)]


def beat(tokens: list[str]) -> None:
    """Says that these connections live: one UPDATE for all. Who was taken for dead while we were frozen comes back."""
    with transaction() as session:
        lost = AgentSubscription.touch(session, tokens)
        dropped = AgentSubscription.dropped_among(session, lost)
    for token in lost:
        channel = _by_token.get(token)
        if channel is None or channel.presence_token != token:
            continue
        channel.presence_token = None
        if token in dropped:
            log.info("presence_back", agent=channel.agent_id)
            channel.come()
    if dropped:
        advance_due_topics()


def _id(given: Any) -> int | None:
    if isinstance(given, str) and given.isascii() and given.isdecimal():
        given = int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 < given < 1 << 53 else None
