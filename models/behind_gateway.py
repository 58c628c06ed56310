"""An agent that lives behind a gateway: when it can be given work, and why not, as plain columns.

A part of `Agent`, in a file of its own. Whether such an agent is routable follows from its gateway's row alone.
"""

import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from models.broadcast import broadcast
from models.gateway import Gateway
from models.gateway_states import ConnectionState, GatewayState, Problem
from models.user import User, check_name

WRITE = "operator.write"
# Nobody but a person ends these: a gateway in one of them takes no work.
PERSONS = (Problem.PAIRING, Problem.TOKEN_REFUSED, Problem.PROTOCOL, Problem.ORIGIN, Problem.CONFIG_ERROR)

KEY_DIFFERS = (
    "{agent} has a key of its own that is not the one {gateway} is used with, and it never acts under somebody "
    "else's key. Give it the gateway's key, or take its own away."
)
REMOVED = "{gateway}, behind which {agent} lives, was removed."
NOT_WANTED = "{gateway}, behind which {agent} lives, is stopped. Connect it on its page."
DRAINING = "{gateway} is draining: it finishes what runs and takes no new work."
WAITS_FOR_A_PERSON = "{gateway} cannot be used: {reason}"
MAY_NOT_SEND = "{gateway} did not grant this hub the right to send (operator.write)."
NOT_THERE_YET = "{gateway} is not connected: this goes out as soon as it is."


def columns() -> tuple[ColumnElement[Any], ...]:
    """What is read of an agent's gateway (an outer join, null for a plugin's agent) to tell whether it is routable."""
    return (
        Gateway.name.label("gateway_name"),
        Gateway.wanted.label("gateway_wanted"),
        Gateway.draining.label("gateway_draining"),
        Gateway.removed_at.label("gateway_removed_at"),
        Gateway.state.label("gateway_state"),
        Gateway.connection.label("gateway_connection"),
        Gateway.reason.label("gateway_reason"),
        Gateway.problem_code.label("gateway_problem"),
        Gateway.next_attempt_at.label("gateway_next_attempt_at"),
        Gateway.missing_scopes.label("gateway_missing_scopes"),
    )


def why_not(row: Any, agent: str, key_differs: bool) -> str | None:
    """Why an agent behind this gateway (`columns`) cannot take work, in a sentence; None when it can."""
    named = {"agent": agent, "gateway": row.gateway_name}
    waits = row.gateway_next_attempt_at is None or row.gateway_problem in PERSONS
    if row.gateway_name is None or row.gateway_removed_at is not None:
        return REMOVED.format(**{**named, "gateway": row.gateway_name or "The gateway"})
    if key_differs:
        return KEY_DIFFERS.format(**named)
    if not row.gateway_wanted:
        return NOT_WANTED.format(**named)
    if row.gateway_draining:
        return DRAINING.format(**named)
    if row.gateway_state == GatewayState.ERROR and waits:
        return WAITS_FOR_A_PERSON.format(**named, reason=row.gateway_reason or "it needs a person.")
    if WRITE in (row.gateway_missing_scopes or ()):
        return MAY_NOT_SEND.format(**named)
    return None


def not_there_yet(row: Any) -> str | None:
    """What work for it waits for besides its turn: a gateway that is wanted and not connected now."""
    there = row.gateway_connection == ConnectionState.CONNECTED
    return None if there else NOT_THERE_YET.format(gateway=row.gateway_name)


class BehindGateway:
    """An agent's gateway. Expects the columns of `Agent`."""

    id: Any
    handle: Any
    gateway_id: Any
    gateway_agent_id: Any
    own_token: Any
    key_differs: Any

    @classmethod
    def new_gateway_agent(
        cls: Any,
        session: Session,
        owner: User,
        name: str,
        gateway: Gateway,
        gateway_agent_id: str,
        own_token: str | None = None,
    ) -> Any:
        """A new agent behind a gateway. Raises Invalid (name, gateway_agent_id).

        A key of its own that differs from the gateway's is kept, and the agent is not routable.
        """
        handle = check_name(name, "name", 120)
        agent = cls(
            owner_id=owner.id,
            kind="gateway",
            handle=handle,
            name=handle,
            identity_key=f"g{gateway.id}-{uuid.uuid4().hex}",
            vendor="openclaw",
            model=gateway.dialect,
            gateway_id=gateway.id,
            gateway_agent_id=check_name(gateway_agent_id, "gateway_agent_id", 120),
        )
        agent.use_key(gateway, own_token)
        session.add(agent)
        session.flush()
        broadcast(session, "hub", "agents", agent=agent.id)
        return agent

    def use_key(self, gateway: Gateway, own_token: str | None) -> None:
        """A key of its own, None to act under its gateway's."""
        self.own_token = own_token or None
        self.key_differs = self.own_token is not None and self.own_token != gateway.token

    @classmethod
    def judge_keys(cls: Any, session: Session, gateway: Gateway) -> list[int]:
        """The gateway has another key: compares those of its agents anew, by id; the ids of those that differ."""
        own = select(cls).where(cls.gateway_id == gateway.id, cls.own_token.is_not(None), cls.removed_at.is_(None))
        agents = list(session.scalars(own.order_by(cls.id).with_for_update(key_share=True)))
        for agent in agents:
            agent.use_key(gateway, agent.own_token)
            broadcast(session, f"agent:{agent.id}", "presence", agent=agent.id)
        session.flush()
        return [agent.id for agent in agents if agent.key_differs]

    @classmethod
    def reasons(cls: Any, session: Session, ids: Collection[int]) -> dict[int, str | None]:
        """For those among these agents that live behind a gateway: why each cannot take work, None when it can."""
        query = select(cls.id, cls.handle, cls.key_differs, *columns()).outerjoin(Gateway, Gateway.id == cls.gateway_id)
        found = session.execute(query.where(cls.id.in_(list(ids)), cls.kind == "gateway"))
        return {row.id: why_not(row, row.handle, row.key_differs) for row in found}

    def standing(self: Any, session: Session) -> tuple[str | None, str | None]:
        """(why it cannot take work, what work waits for besides): both None when it goes out at once."""
        query = select(*columns()).where(Gateway.id == self.gateway_id)
        row = session.execute(query).first()
        if row is None:
            return REMOVED.format(gateway="The gateway", agent=self.handle), None
        return why_not(row, self.handle, self.key_differs), not_there_yet(row)
