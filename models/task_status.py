"""Where a task stands, and why it may be suspended: the words that tables, pages and programs share."""

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    DELEGATED = "delegated"
    SUSPENDED = "suspended"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SuspendedFor(StrEnum):
    """What a suspended task waits for: the agent's usage limit to end, a session to return, or its own steps."""

    QUOTA = "quota"
    AGENT_OFFLINE = "agent_offline"
    STEPS = "steps"


OPEN = (TaskStatus.QUEUED, TaskStatus.CLAIMED, TaskStatus.DELEGATED, TaskStatus.SUSPENDED)
RUNNING = (TaskStatus.CLAIMED, TaskStatus.DELEGATED)
WAITING = (TaskStatus.QUEUED, TaskStatus.SUSPENDED)
