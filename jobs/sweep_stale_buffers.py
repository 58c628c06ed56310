"""Runs that never finished: out of this process's memory, and what is left of them out of the rows."""

from datetime import datetime

from jobs.check_gateways import Fleet
from models.database import rules, transaction
from models.running_answer import RunningAnswer


def sweep_stale_buffers(now: datetime, fleet: Fleet) -> int:
    """Lets go of what was silent for the time to live; says how many runs."""
    swept = fleet.sweep()
    with transaction() as session:
        return swept + RunningAnswer.forget_stale(session, now, rules().buffer_ttl_seconds)
