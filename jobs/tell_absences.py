"""Topics in which somebody works who is not connected say so, once a drop."""

from datetime import datetime

from models.database import repeated, transaction
from models.tells_people import topics_with_absences
from models.topic import Topic


def tell_absences(now: datetime) -> int:
    """Posts the notices that are due, one topic a transaction; says for how many tasks."""
    with transaction() as session:
        topics = topics_with_absences(session, now)
    return sum(_tell(id, now) for id in topics)


@repeated
def _tell(topic_id: int, now: datetime) -> int:
    with transaction() as session:
        topic = Topic.locked(session, topic_id)
        return 0 if topic is None else topic.tell_absences(session, now)
