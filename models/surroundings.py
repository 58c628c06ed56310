"""What stands around every page of a person: newest topics, what is counted, how gateways are. Three statements."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, func, literal, select
from sqlalchemy.orm import Session

from models import gateway_reading, inbox, overview, seats, tray
from models.creative import Creative
from models.prepared import Few, prepared, rows
from models.sign_in_attempt import SignInAttempt
from models.task import Task
from models.topic import Topic
from models.user import Role, User


class Surroundings(NamedTuple):
    """As this person may see it, one row or some.

    topics    the first of `overview.topics`
    counts    each 100 at most, but for the seats:
              tasks         open ones in the topics the person may read
              approvals     what waits for the person
              left_over     what lies in the tray; 0 for who may not look into it
              failures      failed tries to sign in as this person that the person has not seen
              taken, seats  how many seats are taken, of how many that are in service or still held
    gateways  all of `gateway_reading.worst` for operators, for others those their agents live on
    """

    topics: Sequence[Row[Any]]
    counts: Row[Any]
    gateways: Sequence[Row[Any]]


def seen_by(session: Session, user: User, most_topics: int) -> Surroundings:
    """What this person sees."""
    decides, operates = user.is_at_least(Role.APPROVER), user.is_at_least(Role.OPERATOR)
    return Surroundings(
        rows(session, *_newest(user.id, most_topics)),
        rows(session, *_counts(user.id, user.email, decides, operates))[0],
        gateway_reading.worst(session, None if operates else user.id),
    )


@prepared
def _newest(user_id: int, limit: Few) -> Select[*tuple[Any, ...]]:
    return overview.topics(user_id).limit(limit)


@prepared
def _counts(user_id: int, email: str, decides: bool, operates: bool) -> Select[*tuple[Any, ...]]:
    mine = select(Topic.id).where(Topic.creative_id.in_(Creative.readable_by(user_id)))
    tasks = select(Task.id).where(Task.finished_at.is_(None), Task.topic_id.in_(mine))
    failures = select(SignInAttempt.id).where(SignInAttempt.email == email, SignInAttempt.seen_at.is_(None))
    taken = seats.counted().subquery()
    return select(
        _some(tasks).label("tasks"),
        inbox.counted(user_id, decides).scalar_subquery().label("approvals"),
        (tray.counted().scalar_subquery() if operates else literal(0)).label("left_over"),
        _some(failures).label("failures"),
        taken.c.taken,
        taken.c.seats,
    )


def _some(which: Select[int]) -> Any:
    return select(func.count()).select_from(which.limit(overview.MOST_COUNTED).subquery()).scalar_subquery()
