"""The playground: a gateway to try things with, started and stopped here, and told to fail. For operators.

Off unless the hub listens on this machine only: it starts programs, and a stranger's hand has no place at its buttons.
"""

import itertools
from typing import Any

import flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import gateway_agents, gateway_changes
from models.agent import Agent
from models.base import database_time
from models.creative import Creative
from models.database import transaction
from models.errors import NotFound, Refusal, WrongState
from models.gateway import Gateway
from models.gateway_states import GatewayState
from models.topic import Topic
from models.user import Role, User
from webapp import fakes, gateway_words
from webapp.acting import acted
from webapp.auth import at_least, person
from webapp.hub import hub
from webapp.pages import shell
from webapp.pages.forms import answer, go_to

AGENT, TOPIC = "pilot", "Playground"
# Button: what it says was done, and the verb (docs/playground.md).
VERBS: dict[str, tuple[str, dict[str, Any]]] = {
    "delay": ("Its answers are half a second to two seconds late now.", {"do": "faults", "delay": [500, 2000]}),
    "duplicate": ("Every third of its frames comes twice now.", {"do": "faults", "duplicate": 0.34}),
    "calm": ("It behaves again.", {"do": "faults", "clear": True}),
    "cut": ("Its sockets were cut. The hub connects again by itself.", {"do": "cut"}),
    "crash": ("It ended without a goodbye. The hub starts it again.", {"do": "exit"}),
}
OFF = "The playground starts programs, so it is off here: this hub listens beyond its own machine. Use another hub."

blueprint = flask.Blueprint("playground", __name__)


@blueprint.get("/playground")
@at_least(Role.OPERATOR)
def show() -> flask.Response:
    """How the gateway stands, and the buttons."""
    return page()


def page(status: int = 200, problem: str | None = None) -> flask.Response:
    """The page; `problem` says why a button did nothing."""
    user = person()
    with transaction() as session:
        gateway = known(session)
        topic = None if gateway is None else place(session)
        agent = None if gateway is None else aboard(session, gateway)
    return answer(
        "playground/playground.html",
        status,
        off=None if hub().config.is_loopback else OFF,
        fake=gateway,
        standing=None if gateway is None else gateway_words.lamp(gateway),
        live=gateway is not None and gateway.state == GatewayState.RUNNING,
        topic=topic,
        agent=agent or AGENT,
        problem=problem,
        address=hub().config.public_url,
        streams=shell.streams(user, "hub"),
        refresh_on="gateways agents",
    )


@blueprint.post("/playground/start")
@at_least(Role.OPERATOR)
def start() -> flask.Response:
    """Starts it; the first time it is added, with an agent behind it and a topic to talk with that agent."""
    user = person()
    try:
        allowed()
        with transaction() as session:
            now = database_time(session)
            gateway = known(session)
            if gateway is None:
                hosts, port = hub().config.gateway_hosts, fakes.free_port()
                gateway = gateway_changes.add_managed(session, user, fakes.NAME, port, fakes.COMMAND, {}, hosts, now)
                agent = gateway_agents.add(session, user, user, free_name(session, user), gateway, AGENT)
                Topic.create(session, Creative.inbox_of(session, user.id), TOPIC, agent.id)
            gateway_changes.start(session, gateway, user, now)
            acted(session, user, "playground", "started the playground gateway.", gateway_id=gateway.id)
    except Refusal as refusal:
        return page(refusal.status, str(refusal))
    flask.flash(gateway_words.ASKED["start"].format(gateway.name))
    return go_to("playground.show")


@blueprint.post("/playground/stop")
@at_least(Role.OPERATOR)
def stop() -> flask.Response:
    """Stops it."""
    user = person()
    with transaction() as session:
        gateway = running(session)
        gateway_changes.stop(session, gateway, user, database_time(session))
        acted(session, user, "playground", "stopped the playground gateway.", gateway_id=gateway.id)
    flask.flash(gateway_words.ASKED["stop"].format(gateway.name))
    return go_to("playground.show")


@blueprint.post("/playground/<any(delay, duplicate, calm, cut, crash):verb>")
@at_least(Role.OPERATOR)
def do(verb: str) -> flask.Response:
    """One of the buttons."""
    said, wanted = VERBS[verb]
    try:
        allowed()
        with transaction() as session:
            gateway = running(session)
            port, token = gateway.port or 0, gateway.token or ""
            acted(session, person(), "playground", f"told the playground gateway: {verb}.", gateway_id=gateway.id)
        fakes.tell(port, token, **wanted)
    except Refusal as refusal:
        return page(refusal.status, str(refusal))
    flask.flash(said)
    return go_to("playground.show")


def allowed() -> None:
    """Raises WrongState where the hub listens beyond its own machine."""
    if not hub().config.is_loopback:
        raise WrongState(OFF)


def known(session: Session) -> Gateway | None:
    """The playground gateway, if there is one."""
    managed = select(Gateway).where(Gateway.managed, Gateway.removed_at.is_(None)).order_by(Gateway.id)
    return next((gateway for gateway in session.scalars(managed) if fakes.is_fake(gateway.command)), None)


def running(session: Session) -> Gateway:
    """The same, under its lock. Raises NotFound."""
    found = known(session)
    if found is None:
        raise NotFound("There is no playground gateway yet. Start one.")
    return gateway_changes.locked(session, found.id)


def free_name(session: Session, user: User) -> str:
    """What its agent is called: pilot, unless the person has one of that name."""
    mine = select(func.lower(Agent.handle)).where(Agent.owner_id == user.id, Agent.removed_at.is_(None))
    taken = set(session.scalars(mine))
    names = itertools.chain([AGENT], (f"{AGENT}-{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)


def aboard(session: Session, gateway: Gateway) -> str | None:
    """The name of its agent."""
    behind = (Agent.gateway_id == gateway.id, Agent.removed_at.is_(None))
    return session.scalars(select(Agent.handle).where(*behind).order_by(Agent.id).limit(1)).first()


def place(session: Session) -> Topic | None:
    """The topic of this person in which its agent answers."""
    mine = Topic.creative_id.in_(Creative.readable_by(person().id))
    named = select(Topic).where(Topic.name == TOPIC, mine, Topic.archived_at.is_(None)).order_by(Topic.id).limit(1)
    return session.scalars(named).first()
