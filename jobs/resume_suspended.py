"""Tasks whose agent had reached a usage limit go on when the time has come, under a new generation."""

from datetime import datetime

from models import quota
from models.database import repeated, transaction


def resume_suspended(now: datetime) -> int:
    """Puts them back into their queues, one a transaction; says how many."""
    with transaction() as session:
        over = quota.over(session, now)
    return sum(_resume(place, now) for place in over)


@repeated
def _resume(place: quota.Place, now: datetime) -> bool:
    with transaction() as session:
        return quota.resume(session, place, now)
