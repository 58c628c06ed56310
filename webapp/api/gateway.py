"""A gateway as programs see it, what it went through, and what was asked of it."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from models.activity import Activity
from models.gateway_states import ConnectionState, GatewayState
from webapp import gateway_words
from webapp.hub import hub
from webapp.waiting import Answer


class Problem(msgspec.Struct):
    """What a person may have to solve: a word for programs, what is wrong, what to do."""

    code: str
    text: str
    fix: str


class LastExit(msgspec.Struct):
    """How a process ended."""

    code: int | None
    signal: str | int | None
    at: str | None
    reason: str | None


class GatewayProcess(msgspec.Struct):
    """The process of a gateway that runs on this machine."""

    pid: int | None
    port: int | None
    started_at: datetime | None
    uptime_seconds: int | None
    adopted: bool
    last_exit: LastExit | None


class PortHolder(msgspec.Struct):
    """Who holds the port that a gateway needs."""

    pid: int | None
    name: str | None


class Gateway(msgspec.Struct):
    """A gateway that the hub talks to: what is wanted of it, and how it stands."""

    id: int
    name: str
    url: str
    managed: bool
    keep: bool
    wanted: bool
    draining: bool
    state: GatewayState
    connection: ConnectionState
    reason: str | None
    problem: Problem | None
    has_token: bool
    token_age_seconds: int | None
    protocol: int | None
    version: str | None
    scopes: list[str] | None
    missing_scopes: list[str] | None
    latency_ms: float | None
    attempts: int
    next_attempt_at: datetime | None
    connected_at: datetime | None
    open_runs: int
    buffered_bytes: int
    agent_ids: list[int]
    process: GatewayProcess | None
    port_holder: PortHolder | None


class Gateways(msgspec.Struct):
    """A page of gateways; `next` asks for more."""

    items: list[Gateway]
    next: int | None


class Affected(msgspec.Struct):
    """Who was touched, by id."""

    agents: list[int]
    topics: list[int]


class GatewayEvent(msgspec.Struct):
    """One line of a gateway's timeline; `state` and `connection` as they were when it was written."""

    id: int
    at: datetime
    event: str
    text: str
    detail: str | None
    actor: str
    state: GatewayState | None
    connection: ConnectionState | None
    affected: Affected


class GatewayTimeline(msgspec.Struct):
    """A page of a gateway's timeline, the newest first; `next` asks for more."""

    items: list[GatewayEvent]
    next: int | None


class GatewayAsked(msgspec.Struct):
    """What was asked of a gateway, and what came of it: `code` and `error` say why it was not done."""

    request_id: int
    gateway_id: int | None
    verb: str
    status: str
    answer: dict[str, Any] | None
    code: str | None
    error: str | None


def shown(row: Any, now: datetime) -> Gateway:
    """A row of `gateway_reading.gateways`."""
    trouble = gateway_words.trouble(row, hub().config.public_url)
    return Gateway(
        id=row.id,
        name=row.name,
        url=row.url,
        managed=row.managed,
        keep=row.keep,
        wanted=row.wanted,
        draining=row.draining,
        state=GatewayState(row.state),
        connection=ConnectionState(row.connection),
        reason=row.reason,
        problem=None if trouble is None else Problem(trouble.code, trouble.heading, trouble.whole_fix),
        has_token=row.has_token,
        token_age_seconds=_age(row.token_set_at, now),
        protocol=row.protocol,
        version=row.version,
        scopes=row.scopes,
        missing_scopes=row.missing_scopes,
        latency_ms=row.latency_ms,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        connected_at=row.connected_at,
        open_runs=row.open_runs,
        buffered_bytes=row.buffered_bytes,
        agent_ids=sorted(row.agent_ids),
        process=_process(row, now),
        port_holder=None
        if not row.port_holder
        else PortHolder(row.port_holder.get("pid"), row.port_holder.get("name")),
    )


def _process(row: Any, now: datetime) -> GatewayProcess | None:
    if not row.managed:
        return None
    return GatewayProcess(
        pid=row.pid,
        port=row.port,
        started_at=None if row.pid is None else row.process_started_at,
        uptime_seconds=None if row.pid is None else _age(row.process_started_at, now),
        adopted=row.adopted,
        last_exit=_exit(row.last_exit),
    )


def _exit(last: dict[str, Any] | None) -> LastExit | None:
    if not last:
        return None
    return LastExit(last.get("code"), last.get("signal"), last.get("at"), last.get("reason"))


def _holder(found: dict[str, Any] | None) -> PortHolder | None:
    return PortHolder(found.get("pid"), found.get("name")) if found else None


def event(line: Activity) -> GatewayEvent:
    """A line of activity."""
    touched = line.affected or {}
    return GatewayEvent(
        id=line.id,
        at=line.at,
        event=line.event,
        text=line.text,
        detail=line.detail,
        actor=line.actor,
        state=None if line.state is None else GatewayState(line.state),
        connection=None if line.connection is None else ConnectionState(line.connection),
        affected=Affected(touched.get("agents", []), touched.get("topics", [])),
    )


def asked(request: Answer) -> GatewayAsked:
    """A request as it stands."""
    refused = request.refusal_code is not None
    return GatewayAsked(
        request_id=request.id,
        gateway_id=request.gateway_id,
        verb=request.verb,
        status=request.status,
        answer=request.answer,
        code=request.code if refused else None,
        error=request.sentence if refused else None,
    )


def _age(since: datetime | None, now: datetime) -> int | None:
    return None if since is None else max(0, int((now - since.astimezone(UTC)).total_seconds()))
