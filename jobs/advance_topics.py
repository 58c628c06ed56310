"""Topics that are due: the net for what a door could not advance after its commit."""

from datetime import datetime

from models.database import repeated, transaction
from models.topic import Topic

MOST = 500


def advance_topics(now: datetime) -> int:
    """Advances topics whose waiting tasks may be able to go, one a transaction; says how many."""
    with transaction() as session:
        due = Topic.due(session, now, MOST)
    for topic_id in due:
        _advance(topic_id, now)
    return len(due)


@repeated
def _advance(topic_id: int, now: datetime) -> None:
    with transaction() as session:
        topic = Topic.locked(session, topic_id)
        if topic is not None:
            topic.advance(session, now)
