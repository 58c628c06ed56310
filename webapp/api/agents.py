"""A plugin's session introduces itself, and says goodbye (the agent channel's register and unregister)."""

import flask
import msgspec

from models import registration
from models.agent import Agent
from models.errors import Invalid, NotFound
from webapp.api.door import Ask, Calls
from webapp.api.fields import known_id

calls = Calls.named("agents")


class Registration(msgspec.Struct):
    """Who introduces itself. `name` is the older way: it stands for whichever of the two names is missing."""

    agent_name: str | None = None
    session_id: str | None = None
    session_label: str | None = None
    name: str | None = None


class Registered(msgspec.Struct):
    """What a session must know: its agent, and the topic that is its own."""

    agent_id: int
    agent_name: str
    topic_id: int
    topic_name: str
    session_id: str
    inbox_creative_id: int
    ws_url: str


class Leaving(msgspec.Struct):
    """Which session leaves: its topic, and its id unless it is the topic's."""

    topic_id: int | str | None = None
    session_id: str | None = None


@calls.call("POST", "/agent/register", takes=Registration, gives=Registered)
def register(ask: Ask[Registration]) -> Registered:
    """Introduces a session of a plugin: its agent and its topic are found or made. Safe to repeat."""
    given = ask.given
    agent_name = (given.agent_name or "").strip() or (given.name or "").strip()
    session_id = (given.session_id or "").strip() or (given.name or "").strip()
    if not agent_name or not session_id:
        raise Invalid(agent_name="Give agent_name and session_id, or name.")
    ask.by_plugin()
    program = flask.request.headers.get("User-Agent")
    made = registration.register(ask.session, ask.user, agent_name, session_id, given.session_label, ask.now, program)
    return Registered(
        agent_id=made.agent.id,
        agent_name=made.agent.name,
        topic_id=made.topic.id,
        topic_name=made.topic.name,
        session_id=session_id,
        inbox_creative_id=made.inbox.id,
        ws_url="/cable",
    )


@calls.call("DELETE", "/agent/<int:agent_id>", takes=Leaving, advances=True, by_viewers=True)
def unregister(ask: Ask[Leaving], agent_id: int) -> None:
    """Says goodbye for one session: it is no longer there, its work is cancelled, its topic is put away."""
    agent = Agent.owned_by(ask.session, ask.user.id, agent_id)
    if agent is None:
        raise NotFound("There is no such agent, or it is not yours.")
    topic_id = ask.given.topic_id
    if topic_id is None or (isinstance(topic_id, str) and not topic_id.strip()):
        raise Invalid(topic_id="topic_id is missing: give the one that register answered.")
    session_id = (ask.given.session_id or "").strip() or None
    ask.by_plugin()
    registration.unregister(ask.session, ask.user, agent, _topic(topic_id), session_id, ask.now)


def _topic(given: int | str) -> int:
    """What is no id is no topic: the session leaves all the same."""
    digits = isinstance(given, int) or (given.strip().isascii() and given.strip().isdecimal())
    return (known_id(given) or 0) if digits else 0
