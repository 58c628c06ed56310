"""The agents a gateway lists, and where they are kept."""

from typing import Any

import structlog

from models import pool_changes
from models.base import database_time
from models.database import repeated, transaction
from models.gateway import Gateway
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.refusals import ConnectionLost, MethodRefused
from webapp.gateways.wire import mapping, text_or_none

log = structlog.get_logger("gateways")

MOST = 500


def listed(connection: GatewayConnection, seconds: float) -> list[dict[str, Any]] | None:
    """Its agents, [{"id", "name"}]; None when it does not tell."""
    try:
        payload = connection.request("agents.list", {}, seconds)
    except (MethodRefused, ConnectionLost) as error:
        log.info("agents_not_listed", url=connection.url, error=type(error).__name__)
        return None
    found = mapping(payload).get("agents")
    agents = []
    for one in found[:MOST] if isinstance(found, list) else []:
        id = text_or_none(mapping(one).get("id"))
        if id is not None:
            named = text_or_none(mapping(one).get("name"))
            said = named or text_or_none(mapping(mapping(one).get("identity")).get("name"))
            agents.append({"id": id[:200], "name": (said or id)[:200]})
    return agents


@repeated
def store_agents(gateway_id: int, agents: list[dict[str, Any]]) -> list[str]:
    """Keeps the list in the gateway's row; the names of seats whose agents are there no more."""
    with transaction() as session:
        gateway, now = session.get(Gateway, gateway_id), database_time(session)
        if gateway is None:
            return []
        gone = pool_changes.agents_listed(session, gateway, [str(agent["id"]) for agent in agents], now)
        changed = gateway.listed_agents != agents
        gateway.listed_agents, gateway.listed_at = agents, now
        if changed:
            gateway.changed(session)
        return gone
