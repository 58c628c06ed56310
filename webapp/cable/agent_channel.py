"""`Collavre::AgentChannel`: an agent's session hears its dispatches; a listener hears those of a topic.

Subscribing as an agent is presence: the stream is followed first, then the row is made under the agent's lock, for the
agent can be given work the moment the row commits.
"""

import threading
import uuid
import weakref
from typing import Any

import structlog

from models import arrivals
from models.access_token import AccessToken
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.arrivals import Arrival, Arrived, Outcome
from models.base import database_time
from models.database import at_once, reading, repeated, transaction
from models.deciding import go_on_later
from models.errors import NotFound
from models.permission_request import PermissionRequest
from models.task import Task
from models.topic import Topic
from webapp import prompts
from webapp.advance import advance_due_topics
from webapp.cable import payloads, thinking
from webapp.cable.channel import Channel
from webapp.hub import Hub
from webapp.metrics import DISPATCHES
from webapp.streams import Heard
from webapp.together import Together

log = structlog.get_logger("agent_channel")

ALONE = (Outcome.WORK, Outcome.BUSY)  # these have yet to subscribe, by themselves

# What sockets took in the batch under way: (task id, token). Stamped in one transaction after the batch.
_written: list[tuple[int, str]] = []
_by_token: "weakref.WeakValueDictionary[str, AgentChannel]" = weakref.WeakValueDictionary()


class AgentChannel(Channel):
    """One subscription: of an agent's session (`agent_id`, `session_id`), or of a topic's listener (`topic_id`)."""

    actions = frozenset({"replay_permissions"})

    def __init__(
        self, connection: Any, identifier: str, params: dict[str, Any], hub: Hub, token_id: int | None = None
    ) -> None:
        """`token_id`: the access token that came in here, while it is not yet known as a plugin's."""
        super().__init__(connection, identifier, params)
        self.hub = hub
        self.token_id = token_id
        self.may_replay = False
        self.stream: str | None = None
        self.agent_id: int | None = None
        self.topic_id = 0
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
            self.hub.streams.leave(self.connection.user.stream, self.hear_rights)
        token, self.presence_token = self.presence_token, None
        if token is not None:
            leave(token)

    @property
    def session_id(self) -> str | None:
        """The session that speaks here, None when it did not say."""
        given = self.params.get("session_id")
        return given.strip()[:255] or None if isinstance(given, str) else None

    def _as_agent(self, agent_id: int) -> bool:
        self.agent_id = agent_id
        # What comes in from now on is held until the subscription is confirmed, and dropped when it is refused.
        self._follow(f"agent:{agent_id}")
        arrived = self.come()
        if arrived.outcome == Outcome.REFUSED:
            return False
        if self.token_id is not None:
            with transaction() as session:
                AccessToken.note_plugin(session, self.token_id, database_time(session))
        self.may_replay = arrived.outcome != Outcome.LISTENS
        if arrived.waits:
            with _few:
                go_on(agent_id)
        if arrived.waits or arrived.outcome == Outcome.WORK:  # of a thousand that come back at once, most are idle
            advance_due_topics()
        return True

    def come(self) -> Arrived:
        """Makes this connection's presence row, if its agent is this person's and has presence."""
        token = uuid.uuid4().hex
        _by_token[token] = self
        self.presence_token = token
        arrival = Arrival(self.agent_id or 0, self.connection.user.id, self.session_id, token, self.hub.process_id)
        arrived = subscribe(arrival)
        if arrived.outcome in (Outcome.REFUSED, Outcome.LISTENS):
            self.presence_token = None
        return arrived

    def _as_listener(self, topic_id: int) -> bool:
        self.topic_id = topic_id
        if not self._may_listen():
            return False
        self._follow(f"topic:{topic_id}")
        self.hub.streams.follow(self.connection.user.stream, self.hear_rights)
        return True

    def _may_listen(self) -> bool:
        with transaction() as session:
            try:
                Topic.seen_by(session, self.connection.user, self.topic_id)
            except NotFound:
                return False
        return True

    def hear_rights(self, heard: Heard) -> None:
        """A right of this person changed: who may no longer read the topic hears no more of it."""
        if heard.event in ("rights", "look_again") and not self._may_listen():
            self.connection.revoke(self)

    def _follow(self, stream: str) -> None:
        self.stream = stream
        self.hub.streams.follow(stream, self.hear)

    def hear(self, heard: Heard) -> None:
        """One event of the stream: decisions are passed on, and dispatches, those of a task to one session only."""
        row = heard.row
        if heard.event == "decision" and row is not None and row.is_decided:
            self.send(heard.once("payload", lambda: payloads.decision(row)))
        if heard.event in ("task", thinking.EVENT) and (said := thinking.payload(heard)) is not None:
            self.send(said)
        if heard.event != "dispatch" or row is None:
            return
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

    def replay_permissions(self, data: dict[str, Any]) -> None:
        """Says again, to this client only, what was decided of the ids it asks for."""
        ids = request_ids(data.get("request_ids"))
        if not self.may_replay or not ids:
            return
        with reading() as session:
            decided = PermissionRequest.replayable(session, self.agent_id or 0, ids)
        for request in decided:
            self.send(payloads.decision(request))


def subscribe(arrival: Arrival) -> Arrived:
    """The presence row of a connection, together with those that come at the same moment; by itself where an agent has
    work to be judged, or is held by somebody.
    """
    arrived = _arriving.ask(arrival)
    if arrived.outcome not in ALONE:
        return arrived
    with _few:
        return subscribe_alone(arrival, arrived)


@repeated
def subscribe_alone(arrival: Arrival, arrived: Arrived) -> Arrived:
    """The same in its own time, for who came that far with the others."""
    if arrived.outcome == Outcome.BUSY:
        with at_once() as session:
            [arrived] = arrivals.subscribe(session, [arrival], wait=True)
    if arrived.outcome == Outcome.WORK:
        with transaction() as session:
            Agent.subscribe(session, arrival.agent_id, arrival.session_id, arrival.token, arrival.process_id)
    return arrived


def leave(token: str) -> None:
    """The end of a connection, together with those that end at the same moment."""
    if not _leaving.ask(token):
        leave_alone(token)


@repeated
def leave_alone(token: str) -> None:
    """The same in its own time."""
    with at_once() as session:
        Agent.unsubscribe(session, token)


@repeated
def subscribe_all(coming: list[Arrival]) -> list[Arrived]:
    """Those who come at the same moment, in one statement; who is to come `ALONE` has yet to."""
    with at_once() as session:
        return arrivals.subscribe(session, coming)


@repeated
def leave_all(tokens: list[str]) -> list[bool]:
    """Those who go at the same moment, in one statement; False for who has yet to."""
    with at_once() as session:
        return arrivals.unsubscribe(session, tokens)


_arriving = Together(subscribe_all)
_leaving = Together(leave_all)
# Those who come back to open work wait for each other here: all at once they would take every connection of the pool
# and hold it while they wait for the same agents, and pages, and each other, would find none.
_few = threading.BoundedSemaphore(5)


def go_on(agent_id: int) -> None:
    """Looks again at questions that were decided while their agent could not go on, each in its own transaction.

    A failure is no reason not to subscribe: they are looked at next time, too.
    """
    try:
        with reading() as session:
            waiting = PermissionRequest.unfinished(session, agent_id)
        for id, topic_id in waiting:
            _go_on(id, topic_id)
    except Exception as error:
        log.warning("question_not_continued", agent=agent_id, error=type(error).__name__)


@repeated
def _go_on(id: int, topic_id: int) -> None:
    with transaction() as session:
        go_on_later(session, id, topic_id, prompts.continuation, database_time(session))


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


def request_ids(given: Any) -> list[str]:
    """The ids of a replay as texts: blank ones dropped, each once. Empty for what is no list."""
    if not isinstance(given, list):
        return []
    texts = [str(one).strip() for one in given if isinstance(one, str | int | float) and not isinstance(one, bool)]
    return list(dict.fromkeys(text for text in texts if text and "\x00" not in text))


def _id(given: Any) -> int | None:
    if isinstance(given, str) and given.isascii() and given.isdecimal():
        given = int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 < given < 1 << 53 else None
