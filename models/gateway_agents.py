"""Agents are put behind a gateway: who owns them, which of the gateway's agents each is, and a line in its timeline."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import gateway_changes, gateway_checks
from models.agent import Agent
from models.errors import Invalid, NameTaken, NotFound
from models.gateway import Gateway
from models.gateway_changes import NOBODY
from models.user import Role, User


def gateway_for(session: Session, user: User, id: int) -> Gateway:
    """The gateway behind which this person may put agents, locked: operators any, others where they have one already.

    Raises NotFound: what is not theirs to use does not exist.
    """
    mine = (Agent.owner_id == user.id, Agent.gateway_id == id, Agent.removed_at.is_(None))
    if user.is_at_least(Role.OPERATOR) or session.scalars(select(Agent.id).where(*mine)).first() is not None:
        return gateway_changes.locked(session, id)
    raise NotFound("There is no such gateway here.")


def add(
    session: Session,
    by: User | None,
    owner: User,
    name: str,
    gateway: Gateway,
    gateway_agent_id: str,
    own_token: str | None = None,
) -> Agent:
    """A new agent of `owner` behind this gateway. `by` is who decides, None at the command line.

    With a key of its own that is not the gateway's it is not routable. Raises Invalid, NameTaken.
    """
    if owner.role == Role.VIEWER:
        raise Invalid(owner=f"{owner.name} is a viewer, whose agents take no work. Choose another owner.")
    token = gateway_checks.check_token(own_token)
    mine = (Agent.owner_id == owner.id, func.lower(Agent.handle) == name.strip().lower(), Agent.removed_at.is_(None))
    if session.scalars(select(Agent.id).where(*mine)).first() is not None:
        raise NameTaken(name=f"{owner.name} has an agent named {name.strip()[:120]}. Choose another name.")
    agent: Agent = Agent.new_gateway_agent(session, owner, name, gateway, gateway_agent_id.strip(), token)
    who = NOBODY if by is None else by.name
    whose = "the agent" if by is not None and by.id == owner.id else f"{owner.name}’s agent"
    its_name = "" if agent.gateway_agent_id == agent.handle else f", as {agent.gateway_agent_id}"
    words = f"{who} put {whose} {agent.handle} behind it{its_name}."
    gateway.note(session, "agent", words, actor=who, user_id=None if by is None else by.id, agents=[agent.id])
    gateway.changed(session)
    return agent
