"""Gateways as plain rows, without their secrets: to list, to show, and how each stood in the last hours.

A secret is not even opened here, so that a page shows what one needs to know when a key is missing.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, array
from sqlalchemy.orm import Session

from models.activity import Activity
from models.agent import Agent
from models.gateway import Gateway
from models.gateway_states import GatewayState
from models.prepared import prepared, rows
from models.sealed import Sealed

OPEN_COLUMNS = tuple(column for column in Gateway.__table__.columns if not isinstance(column.type, Sealed))


def gateways() -> Select[*tuple[Any, ...]]:
    """Every gateway: its columns without secrets, `has_token`, `has_env`, `agent_ids` (ascending)."""
    behind = select(func.array_agg(Agent.id)).where(Agent.gateway_id == Gateway.id, Agent.removed_at.is_(None))
    nobody: Any = array([], type_=BIGINT)
    agents = func.coalesce(behind.scalar_subquery(), nobody, type_=ARRAY(BIGINT))
    return select(
        *OPEN_COLUMNS,
        Gateway.token.is_not(None).label("has_token"),
        Gateway.env.is_not(None).label("has_env"),
        agents.label("agent_ids"),
    ).where(Gateway.removed_at.is_(None))


def one(session: Session, id: int) -> Row[Any] | None:
    """The row of `gateways` with this id, None when there is none."""
    return session.execute(gateways().where(Gateway.id == id)).first()


def by_name(session: Session) -> Sequence[Row[Any]]:
    """All of them, by name."""
    return rows(session, *_by_name())


@prepared
def _by_name() -> Select[*tuple[Any, ...]]:
    return gateways().order_by(func.lower(Gateway.name), Gateway.id)


def worst(session: Session, owner_id: int | None = None) -> list[Row[Any]]:
    """What the header needs of each; with `owner_id` only of those behind which agents of this person live."""
    return list(rows(session, *_worst(owner_id)))


@prepared
def _worst(owner_id: int | None) -> Select[*tuple[Any, ...]]:
    shown = (
        Gateway.id,
        Gateway.name,
        Gateway.state,
        Gateway.problem_code,
        Gateway.missing_scopes,
        Gateway.draining,
        Gateway.open_runs,
    )
    query = select(*shown).where(Gateway.removed_at.is_(None)).order_by(Gateway.id)
    if owner_id is not None:
        homes = select(Agent.gateway_id).where(Agent.owner_id == owner_id, Agent.removed_at.is_(None))
        query = query.where(Gateway.id.in_(homes))
    return query


def timeline(gateway_id: int) -> Select[*tuple[Any, ...]]:
    """What it went through, to be ordered by id."""
    return select(Activity, Activity.id).where(Activity.gateway_id == gateway_id)


def stood(session: Session, since: datetime) -> dict[int, list[tuple[datetime, str]]]:
    """For each gateway since when it stood how, oldest first: what held at `since`, and each change after it."""
    found: dict[int, list[tuple[datetime, str]]] = defaultdict(list)
    for id, at, state in [*rows(session, *_before(since)), *rows(session, *_later(since))]:
        found[id].append((at, state))
    return found


@prepared
def _before(since: datetime) -> Select[int, datetime, str]:
    known = (Activity.gateway_id == Gateway.id, Activity.state.is_not(None))
    last = select(Activity.at, Activity.state).where(*known, Activity.at <= since).order_by(Activity.id.desc()).limit(1)
    before = last.lateral("before")
    return select(Gateway.id, before.c.at, before.c.state).join(before, Gateway.id == Gateway.id)


@prepared
def _later(since: datetime) -> Select[*tuple[Any, ...]]:
    later = (Activity.gateway_id.is_not(None), Activity.state.is_not(None), Activity.at > since)
    return select(Activity.gateway_id, Activity.at, Activity.state).where(*later).order_by(Activity.id)


def counts(session: Session) -> tuple[int, int]:
    """How many there are, and how many of them run."""
    running = func.count().filter(Gateway.state == GatewayState.RUNNING)
    row = session.execute(select(func.count(), running).where(Gateway.removed_at.is_(None))).one()
    return row[0], row[1]
