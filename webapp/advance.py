"""After the commit: topics that became due are advanced, each in a transaction of its own."""

import structlog

from models.base import database_time
from models.database import repeated, transaction
from models.errors import DatabaseAway
from models.topic import Topic

log = structlog.get_logger("advance")

MOST = 200


def advance_due_topics() -> int:
    """Advances what is due now; says how many topics. A failure is left to the sweep: the row stays due.

    Whoever calls this has committed: what was stored must not be reported as a failure.
    """
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
