"""After the commit: topics that became due are advanced, each in a transaction of its own.

One caller at a time within a process: ten who each lock the same topics, one after the other, wait for each other.
Who comes meanwhile leaves it to the one who is at it, who looks once more.
"""

import threading

import structlog

from models.base import database_time
from models.database import repeated, transaction
from models.errors import DatabaseAway
from models.topic import Topic

log = structlog.get_logger("advance")

MOST = 200
# Whoever is at it may be answering a request: what comes later than this is left to the next caller, or to the sweep.
MOST_LOOKS = 3


class Turn:
    """Who is at it, and whether somebody came meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = self._again = False

    def take(self) -> bool:
        """Whether it is the caller's; if not, it is looked once more by whoever has it."""
        with self._lock:
            self._again = self._taken
            if self._taken:
                return False
            self._taken = True
            return True

    def over(self, looks: int) -> bool:
        """After so many looks: whether it was given back; if not, somebody came meanwhile."""
        with self._lock:
            if self._again and looks < MOST_LOOKS:
                self._again = False
                return False
            self._taken = self._again = False
            return True

    def drop(self) -> None:
        """Given back in any case."""
        with self._lock:
            self._taken = self._again = False


_turn = Turn()


def advance_due_topics() -> int:
    """Advances what is due now; says how many topics. A failure is left to the sweep: the row stays due.

    Whoever calls this has committed: what was stored must not be reported as a failure.
    """
    if not _turn.take():
        return 0
    count = looks = 0
    try:
        while True:
            count, looks = count + _advance_all(), looks + 1
            if _turn.over(looks):
                return count
    except BaseException:
        _turn.drop()
        raise


def _advance_all() -> int:
    try:
        with transaction() as session:
            due = Topic.due(session, database_time(session), MOST)
    except DatabaseAway:
        log.warning("topics_not_advanced")
        return 0
    for topic_id in due:
        try:
            advance_topic(topic_id)
        except Exception as error:
            log.warning("topic_not_advanced", topic=topic_id, error=type(error).__name__)
    return len(due)


@repeated
def advance_topic(topic_id: int) -> None:
    """Lets the next task of one topic go."""
    with transaction() as session:
        topic = Topic.locked(session, topic_id)
        if topic is not None:
            topic.advance(session, database_time(session))
