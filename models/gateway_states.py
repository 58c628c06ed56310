"""Where a gateway stands, what may happen to it, and what follows: a table, and arithmetic without a clock.

stopped       -- wanted -------------------------------> starting
starting      -- connected ----------------------------> running
starting      -- failed, lost -------------------------> reconnecting
running       -- lost ---------------------------------> reconnecting
reconnecting  -- connected ----------------------------> running
any but stopped -- failed or lost, ten tries used up --> error          (a try every five minutes, an alert)
any           -- restart ------------------------------> starting
error         -- connected ----------------------------> running
any but stopped -- refused ----------------------------> error          (waits for a person)
error         -- wanted (somebody changed something) --> starting
any           -- unwanted -----------------------------> stopped
"""

from datetime import timedelta
from enum import StrEnum

FAST_TRIES = 10
# A process that was connected for so long is well: what it failed before no longer counts.
STEADY = timedelta(seconds=60)
SLOW_SECONDS = 300.0
FIRST_SECONDS, MOST_SECONDS = 1.0, 30.0
JITTER = 0.25


class GatewayState(StrEnum):
    """Where a gateway stands. One that is not managed is `running` once its hello was received."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    ERROR = "error"


class ConnectionState(StrEnum):
    """Where its socket stands."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"


class Problem(StrEnum):
    """What a person may have to solve; programs read these words."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105 (a word, no secret)
    PAIRING = "pairing"
    PROTOCOL = "protocol"
    SCOPES = "scopes"
    RATE_LIMITED = "rate_limited"
    ORIGIN = "origin"
    UNREACHABLE = "unreachable"
    KEY_DIFFERS = "key_differs"
    CONFIG_ERROR = "config_error"
    COMMAND_MISSING = "command_missing"
    PORT_TAKEN = "port_taken"
    NOT_READY = "not_ready"
    CRASHED = "crashed"


class Happening(StrEnum):
    """What may happen to a gateway."""

    WANTED = "wanted"
    UNWANTED = "unwanted"
    CONNECTED = "connected"
    FAILED = "failed"
    LOST = "lost"
    REFUSED = "refused"
    RESTART = "restart"


def told_as(event: str, problem: str | None) -> str:
    """The kind under which a line of the timeline is told inside the hub: exit, notification, error or status."""
    if event in ("exit", "notification"):
        return event
    return "error" if problem is not None else "status"


def after(state: GatewayState, happening: Happening, attempts: int) -> GatewayState:
    """The state that follows; `attempts` counts the tries that have failed in a row, this one included.

    What cannot happen in a state leaves it as it is: a late word of an earlier life changes nothing.
    """
    if happening is Happening.UNWANTED:
        return GatewayState.STOPPED
    if happening is Happening.RESTART:
        return GatewayState.STARTING
    if state is GatewayState.STOPPED:
        return GatewayState.STARTING if happening is Happening.WANTED else state
    if happening is Happening.REFUSED:
        return GatewayState.ERROR
    if happening is Happening.CONNECTED:
        return GatewayState.RUNNING
    if happening is Happening.WANTED:
        return GatewayState.STARTING if state is GatewayState.ERROR else state
    if state is GatewayState.ERROR:
        return state
    if attempts >= FAST_TRIES:
        return GatewayState.ERROR
    return GatewayState.RECONNECTING


def retry_delay(attempts: int, chance: float = 0.5) -> timedelta:
    """How long until the next try after so many failed ones: 1 s doubling to 30 s, after ten of them five minutes.

    `chance` (0 to 1) spreads it by a quarter to either side, so that not all come back at the same moment.
    """
    if attempts >= FAST_TRIES:
        return timedelta(seconds=SLOW_SECONDS * (1 + JITTER * (2 * chance - 1)))
    seconds = min(MOST_SECONDS, FIRST_SECONDS * 2 ** max(0, attempts - 1))
    return timedelta(seconds=seconds * (1 + JITTER * (2 * chance - 1)))
