"""An agent ran into its usage limit: its task rests (the agent channel's suspend and quota_status)."""

import math
from datetime import datetime
from typing import Literal

import msgspec

from models import quota
from webapp.api.door import Ask, Calls

calls = Calls.named("quota")
MOST_SECONDS = 10.0**9


class Suspension(msgspec.Struct):
    """Why a task rests. `retry_after` is in seconds; without it the hub chooses."""

    reason: str | None = None
    execution_generation: str | None = None
    retry_after: str | float | None = None


class Suspended(msgspec.Struct):
    """The task rests, and is given out again after `resume_not_before`."""

    status: Literal["suspended"]
    resume_not_before: datetime


class Attempt(msgspec.Struct):
    """Which attempt of the task is meant."""

    execution_generation: str | None = None


class QuotaStatus(msgspec.Struct):
    """Whether that attempt is still being worked on."""

    current: bool


@calls.call(
    "POST", "/agent/tasks/<int:task_id>/suspend", takes=Suspension, gives=Suspended, advances=True, by_viewers=True
)
def suspend(ask: Ask[Suspension], task_id: int) -> Suspended:
    """Puts a task aside because its agent has reached a usage limit. Safe to repeat."""
    given = ask.given
    until = quota.suspend(
        ask.session,
        ask.user,
        task_id,
        given.reason or "",
        given.execution_generation,
        seconds(given.retry_after),
        ask.now,
    )
    ask.by_plugin()
    return Suspended("suspended", until)


@calls.call("GET", "/agent/tasks/<int:task_id>/quota_status", takes=Attempt, gives=QuotaStatus)
def quota_status(ask: Ask[Attempt], task_id: int) -> QuotaStatus:
    """Says whether an attempt is still being worked on."""
    return QuotaStatus(quota.is_current(ask.session, ask.user, task_id, ask.given.execution_generation))


def seconds(given: str | float | None) -> float | None:
    """A time to wait in seconds; None for what is none, as the hub can choose one itself."""
    try:
        found = float(given) if given is not None else -1.0
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and 0 <= found <= MOST_SECONDS else None
