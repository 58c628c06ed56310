"""Removing an agent: first what happens to its work, to what it asked and to its tokens, then it is done."""

import flask
from sqlalchemy.orm import Session

from models import agent_removal
from models.agent import Agent, AgentKind
from models.base import database_time
from models.database import transaction
from models.errors import Forbidden
from models.user import Role, User
from webapp.acting import acted
from webapp.advance import advance_due_topics
from webapp.auth import person, signed_in
from webapp.pages.forms import answer, go_to

blueprint = flask.Blueprint("agent_removal", __name__)


@blueprint.get("/agents/<int:id>/remove")
@signed_in
def ask(id: int) -> flask.Response:
    """Names what is lost."""
    with transaction() as session:
        agent = removable(session, person(), id)
        loss = agent_removal.loss(session, agent)
    plugin = agent.kind == AgentKind.PLUGIN
    return answer("agents/remove.html", agent=agent, loss=loss, plugin=plugin, own=agent.owner_id == person().id)


@blueprint.post("/agents/<int:id>/remove")
@signed_in
def remove(id: int) -> flask.Response:
    """Does it."""
    user = person()
    with transaction() as session:
        handle = removable(session, user, id).handle
        agent_removal.remove(session, id, user, database_time(session))
        acted(session, user, "agent_removed", f"removed the agent {handle}.", agent_id=id)
    advance_due_topics()
    flask.flash(f"{handle} is removed.")
    return go_to("agents.index")


def removable(session: Session, user: User, id: int) -> Agent:
    """The agent, for its owner and for admins who may see it. Raises NotFound or Forbidden."""
    agent = Agent.seen_by(session, user, id)
    if agent.owner_id != user.id and not user.is_at_least(Role.ADMIN):
        raise Forbidden(f"Only its owner, or an admin, removes {agent.handle}.")
    return agent
