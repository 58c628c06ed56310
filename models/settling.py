"""What a message says of its delivery, settled in the database whenever one of its tasks changes."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.message import Delivery

# One message may be given to several agents: the least advanced open task speaks for it, and a failure is never hidden
# behind another agent's answer.
SETTLE = text(
    f"""
    UPDATE messages m SET delivery = s.delivery, why = s.why
    FROM (
        SELECT tm.message_id,
               CASE WHEN bool_or(t.status IN ('failed', 'cancelled')) THEN '{Delivery.FAILED}'
                    WHEN bool_and(t.status = 'done') THEN '{Delivery.ANSWERED}'
                    WHEN bool_or(
                        t.status = 'delegated' AND (t.pending_tool_call IS NOT NULL OR t.heard_at IS NOT NULL)
                    ) THEN '{Delivery.WORKING}'
                    WHEN bool_or(t.status = 'delegated' AND t.sent_at IS NOT NULL) THEN '{Delivery.DELIVERED}'
                    ELSE '{Delivery.ACCEPTED}' END AS delivery,
               string_agg(t.why, ' ' ORDER BY t.id) FILTER (WHERE t.status <> 'done') AS why
        FROM task_messages tm JOIN tasks t ON t.id = tm.task_id
        WHERE tm.message_id IN (SELECT message_id FROM task_messages WHERE task_id = ANY(CAST(:tasks AS bigint[])))
        GROUP BY tm.message_id
    ) s
    WHERE m.id = s.message_id AND (m.delivery, m.why) IS DISTINCT FROM (s.delivery, s.why)
    """  # noqa: S608 (only our own constants are put in)
)
WAITING = "to_settle"


def settle(session: Session, task_ids: Collection[int]) -> None:
    """The messages that these tasks carry; now, or at the end of `at_once`."""
    if WAITING in session.info:
        session.info[WAITING].update(task_ids)
    elif task_ids:
        session.flush()
        session.execute(SETTLE, {"tasks": sorted(task_ids)})


@contextmanager
def at_once(session: Session) -> Iterator[None]:
    """What changes within is settled when all of it has: a task that is made and goes at once costs one statement."""
    if WAITING in session.info:
        yield
        return
    changed = session.info[WAITING] = set[int]()
    try:
        yield
    finally:
        del session.info[WAITING]
    settle(session, changed)
