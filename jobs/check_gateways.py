"""Wanted against held: wakes this process's fleet, should a nudge have been missed."""

from datetime import datetime
from typing import Protocol


class Fleet(Protocol):
    """What jobs ask of the gateways that this process holds; handed in by the front door."""

    def check_health(self) -> int:
        """Lets what is wanted and what is held agree; says how many gateways were amiss."""

    def sweep(self) -> int:
        """Lets go of runs that never finished; says how many."""


def check_gateways(now: datetime, fleet: Fleet) -> int:
    """Wakes every supervisor: each looks at its row, its connection and its process."""
    return fleet.check_health()
