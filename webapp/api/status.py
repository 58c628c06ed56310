"""What the hub does now, in all its processes."""

from datetime import datetime

import msgspec

from models import hub_status
from models.gateway_states import ConnectionState, GatewayState
from webapp.api.door import Ask, Calls

calls = Calls.named("status")


class Connection(msgspec.Struct):
    """One socket to one address, and who shares it; `url` is for operators and admins."""

    url: str | None
    gateway_ids: list[int]
    state: ConnectionState
    agent_ids: list[int]


class Supervised(msgspec.Struct):
    """A gateway that this hub starts and watches."""

    gateway_id: int
    state: GatewayState
    pid: int | None
    port: int | None
    attempts: int
    next_attempt_at: datetime | None


class Buffers(msgspec.Struct):
    """What gateways are saying at the moment, and what became of it."""

    open_runs: int
    bytes: int
    swept: int
    overflowed: int
    duplicates: int
    heartbeats: int


class Presence(msgspec.Struct):
    """Sessions of agents: live, or dropped and waited for."""

    live: int
    dropped: int


class TimetableLine(msgspec.Struct):
    """A job, and its last run in any process."""

    job: str
    every_seconds: float
    last_run_at: datetime | None
    last_seconds: float | None
    last_error: str | None


class RunningProcess(msgspec.Struct):
    """A process of this hub that was heard lately."""

    id: int
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime


class Status(msgspec.Struct):
    """What the hub does now."""

    connections: list[Connection]
    total_connections: int
    total_users: int
    supervisor: list[Supervised]
    buffers: Buffers
    presence: Presence
    timetable: list[TimetableLine]
    processes: list[RunningProcess]


@calls.call("GET", "/status", gives=Status)
def show_status(ask: Ask[None]) -> Status:
    """What the hub does now: all of it for operators and admins, for others what is theirs."""
    return msgspec.convert(hub_status.status(ask.session, ask.user, ask.now), Status)
