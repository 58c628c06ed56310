"""One address among the connections of a process: its key, its users, its connection if there is one."""

from collections.abc import Hashable
from dataclasses import dataclass, field

import gevent
from gevent.event import AsyncResult

from models.gateway_states import ConnectionState
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.refusals import Refused

UserId = Hashable


@dataclass
class Place:
    """What the manager knows of an address. `opening` is there while a handshake is under way."""

    url: str
    credentials: Credentials
    dialect: str
    users: set[UserId] = field(default_factory=set)
    connection: GatewayConnection | None = None
    opening: AsyncResult | None = None
    greenlet: gevent.Greenlet | None = None
    was_lost: bool = False  # it was connected, and is expected back
    used_at: float = 0.0
    refused: Refused | None = None
    refused_until: float = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent."""
        return self.connection is not None and self.connection.is_open

    @property
    def state(self) -> ConnectionState:
        """How it stands, for the status page."""
        if self.is_connected:
            return ConnectionState.CONNECTED
        if self.was_lost:
            return ConnectionState.RECONNECTING
        return ConnectionState.CONNECTING if self.opening is not None else ConnectionState.DISCONNECTED

    def was_refused(self, refused: Refused, now: float) -> None:
        """Remembers a refusal, for good when it waits for a person."""
        self.refused = refused
        self.refused_until = float("inf") if refused.fatal else now + (refused.retry_after or 0.0)
        self.was_lost = self.was_lost and not refused.fatal

    def still_refused(self, now: float) -> Refused | None:
        """The refusal, as long as asking again would be of no use."""
        if self.refused is None or now >= self.refused_until:
            return None
        return self.refused.with_traceback(None)  # or it would grow with each time it is raised
