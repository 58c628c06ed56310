"""What the hub does now, in all its processes, from their rows: connections, supervised gateways, presence, jobs.

Whoever is no operator sees what is theirs: the connections and the presence of their own agents.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import gateway_reading
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.gateway_states import ConnectionState
from models.process import Process
from models.user import Role, User

COUNTED = ("swept", "overflowed", "duplicates", "heartbeats")
# The best of several that share an address is how their one socket stands.
BEST = (
    ConnectionState.CONNECTED,
    ConnectionState.CONNECTING,
    ConnectionState.RECONNECTING,
    ConnectionState.DISCONNECTED,
)


def status(session: Session, user: User, now: datetime) -> dict[str, Any]:
    """The object `status` of the API, as plain values; times as they are."""
    sees_all = user.is_at_least(Role.OPERATOR)
    own = set(session.scalars(select(Agent.id).where(Agent.owner_id == user.id, Agent.removed_at.is_(None))))
    gateways = gateway_reading.by_name(session)
    connections = _connections(gateways, None if sees_all else own)
    there = [one for one in connections if one["state"] != ConnectionState.DISCONNECTED]
    processes = Process.living(session, now) if sees_all else []
    holds = [process.holds or {} for process in processes]
    return {
        "connections": connections,
        "total_connections": len(there),
        "total_users": len({id for one in there for id in one["agent_ids"]}),
        "supervisor": [_supervised(row) for row in gateways if row.managed] if sees_all else [],
        "buffers": _buffers(gateways if sees_all else [], holds),
        "presence": _presence(session, None if sees_all else own, now),
        "timetable": _timetable(holds),
        "processes": [_process(process) for process in processes],
    }


def _connections(gateways: Iterable[Any], own: set[int] | None) -> list[dict[str, Any]]:
    """By address; for who is no operator only those of own agents, and without the address."""
    found: dict[str, dict[str, Any]] = {}
    for row in gateways:
        agents = sorted(row.agent_ids if own is None else own & set(row.agent_ids))
        if own is not None and not agents:
            continue
        one = found.setdefault(
            row.address,
            {
                "url": row.address if own is None else None,
                "gateway_ids": [],
                "state": ConnectionState.DISCONNECTED,
                "agent_ids": [],
            },
        )
        one["gateway_ids"].append(row.id)
        one["agent_ids"] = sorted({*one["agent_ids"], *agents})
        one["state"] = min(one["state"], ConnectionState(row.connection), key=BEST.index)
    return list(found.values())


def _supervised(row: Any) -> dict[str, Any]:
    return {
        "gateway_id": row.id,
        "state": row.state,
        "pid": row.pid,
        "port": row.port,
        "attempts": row.attempts,
        "next_attempt_at": row.next_attempt_at,
    }


def _buffers(gateways: Iterable[Any], holds: Iterable[dict[str, Any]]) -> dict[str, int]:
    rows = list(gateways)
    open_ = {"open_runs": sum(row.open_runs for row in rows), "bytes": sum(row.buffered_bytes for row in rows)}
    told = [(one.get("gateways") or {}).get("buffers") or {} for one in holds]
    return {**open_, **{name: sum(int(one.get(name) or 0) for one in told) for name in COUNTED}}


def _presence(session: Session, own: set[int] | None, now: datetime) -> dict[str, int]:
    live = func.count().filter(AgentSubscription.live(now))
    dropped = func.count().filter(AgentSubscription.dropped_at.is_not(None))
    query = select(live, dropped)
    if own is not None:
        query = query.where(AgentSubscription.agent_id.in_(own))
    row = session.execute(query).one()
    return {"live": row[0], "dropped": row[1]}


def _timetable(holds: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every process runs all jobs: of each job, the run that was last."""
    newest: dict[str, dict[str, Any]] = {}
    for line in (line for one in holds for line in one.get("timetable") or []):
        known = newest.setdefault(line["job"], line)
        if (line.get("last_run_at") or "") > (known.get("last_run_at") or ""):
            newest[line["job"]] = line
    return list(newest.values())


def _process(process: Process) -> dict[str, Any]:
    return {
        "id": process.id,
        "host": process.host,
        "pid": process.pid,
        "started_at": process.started_at,
        "seen_at": process.seen_at,
    }
