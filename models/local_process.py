"""The process of a gateway of our machines, in the gateway's row: it began, it ended, or its port is taken."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from models.gateway import Gateway


def began(
    session: Session, gateway: Gateway, pid: int, started: float, host: str, *, adopted: bool, actor: str = "hub"
) -> None:
    """It runs as this pid since `started` (seconds since 1970); `adopted`: found, not started by this hub's process."""
    if (gateway.pid, gateway.pid_host) == (pid, host) and gateway.pid_started == started:
        return
    gateway.pid, gateway.pid_started, gateway.pid_host, gateway.adopted = pid, started, host, adopted
    gateway.process_started_at = datetime.fromtimestamp(started, UTC)
    gateway.port_holder = None
    words = f"Found it running as process {pid} and took it over." if adopted else f"Started it as process {pid}."
    gateway.note(session, "adopted" if adopted else "process", words, actor=actor)
    gateway.changed(session)


def ended(session: Session, gateway: Gateway, code: int | None, signal: str | None, words: str, now: datetime) -> None:
    """It ended, by itself or because we ended it; `words` is a whole sentence that says which."""
    gateway.last_exit = {"code": code, "signal": signal, "at": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    gateway.last_exit["reason"] = words
    gateway.pid = gateway.pid_started = gateway.pid_host = gateway.process_started_at = None
    gateway.adopted = False
    gateway.note(session, "exit", words)
    gateway.changed(session)


def port_held(session: Session, gateway: Gateway, holder: dict[str, Any] | None) -> None:
    """Who holds its port, {"pid", "name"}; None when nobody else does."""
    if gateway.port_holder != holder:
        gateway.port_holder = holder
        gateway.changed(session)
