"""The agents that a person sees, and what their owner decides about them."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from models import gateway_agents, listing
from models.agent import Agent
from models.errors import Forbidden, Invalid, NotFound
from webapp.acting import acted
from webapp.api import objects
from webapp.api.door import Ask, Calls
from webapp.api.fields import Id, Page

calls = Calls.named("agent_settings")


class NewAgent(msgspec.Struct, forbid_unknown_fields=True):
    """An agent that lives behind a gateway."""

    name: str
    gateway_id: Id
    gateway_agent_id: str


class AgentDecisions(msgspec.Struct, forbid_unknown_fields=True):
    """What its owner decides; what is left out stays."""

    routing_expression: str | UnsetType | None = UNSET
    keep_seconds: int | UnsetType = UNSET
    max_tasks: int | UnsetType | None = UNSET


@calls.call("GET", "/agents", takes=Page, gives=objects.Agents)
def list_agents(ask: Ask[Page]) -> objects.Agents:
    """The person's own agents, and those of everybody with whom they share a creative."""
    rows, more = listing.page(ask.session, listing.agents(ask.user), Agent.id, ask.given.limit, ask.given.after)
    sessions = listing.sessions(ask.session, [row.id for row in rows], ask.now)
    return objects.Agents([objects.agent(row, sessions.get(row.id, [])) for row in rows], more)


@calls.call("POST", "/agents", takes=NewAgent, gives=objects.Agent, status=201)
def make_agent(ask: Ask[NewAgent]) -> objects.Agent:
    """Makes an agent of one's own behind a gateway. One behind a plugin makes itself when the plugin registers.

    Operators choose any gateway, others one behind which an agent of theirs lives already.
    """
    given = ask.given
    try:
        gateway = gateway_agents.gateway_for(ask.session, ask.user, given.gateway_id)
    except NotFound:
        raise Invalid(gateway_id=f"gateway_id: there is no gateway {given.gateway_id} on this hub.") from None
    made = gateway_agents.add(ask.session, ask.user, ask.user, given.name, gateway, given.gateway_agent_id)
    return _shown(ask, made.id)


@calls.call("GET", "/agents/<int:agent_id>", gives=objects.Agent)
def show_agent(ask: Ask[None], agent_id: int) -> objects.Agent:
    """One agent, with its sessions."""
    return _shown(ask, agent_id)


@calls.call("PATCH", "/agents/<int:agent_id>", takes=AgentDecisions, gives=objects.Agent)
def change_agent(ask: Ask[AgentDecisions], agent_id: int) -> objects.Agent:
    """Decides what an agent takes and how long it is waited for. For its owner only."""
    agent = Agent.seen_by(ask.session, ask.user, agent_id)
    if agent.owner_id != ask.user.id:
        raise Forbidden("Only its owner decides about an agent.")
    agent.change(
        ask.session, **{name: value for name, value in msgspec.structs.asdict(ask.given).items() if value is not UNSET}
    )
    acted(ask.session, ask.user, "agent_changed", f"changed what {agent.handle} takes.", agent_id=agent_id)
    return _shown(ask, agent_id)


def _shown(ask: Ask[Any], agent_id: int) -> objects.Agent:
    row = ask.session.execute(listing.agents(ask.user).where(Agent.id == agent_id)).first()
    if row is None:
        raise NotFound("There is no such agent, or you share nothing with its owner.")
    return objects.agent(row, listing.sessions(ask.session, [agent_id], ask.now).get(agent_id, []))
