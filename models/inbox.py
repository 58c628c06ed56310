"""What is asked of people, as plain rows: what waits for a person, what was decided, what stands in a topic.

One statement each, however many rows there are. Of a long input only its beginning is read (`input_text`).
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, Select, Text, cast, false, func, select
from sqlalchemy.orm import Session, aliased

from models.agent import Agent
from models.gateway import Gateway
from models.permission_request import ApprovalStatus, PermissionRequest
from models.topic import Topic
from models.user import User

# Characters of an input (as JSON) that lists read; whoever reads more opens the approval's own page.
MOST_INPUT = 20_000
# Counting stops here: "99+".
MOST_COUNTED = 100


def asked(user: User | None) -> Select[*tuple[Any, ...]]:
    """All that is asked, to be narrowed: the request with agent, topic and decider.

    mine         whether this person may decide it (of what is open); nobody's eyes: never
    input_text   its input as JSON, no more than MOST_INPUT characters; `input_size` has all of them
    """
    decider = aliased(User)
    text = cast(PermissionRequest.input, Text)
    return (
        select(
            PermissionRequest.id,
            PermissionRequest.kind,
            PermissionRequest.agent_id,
            Agent.handle.label("agent_short"),
            PermissionRequest.topic_id,
            Topic.name.label("topic_name"),
            PermissionRequest.task_id,
            PermissionRequest.message_id,
            Gateway.name.label("gateway_name"),
            PermissionRequest.tool_name,
            PermissionRequest.description,
            PermissionRequest.question,
            PermissionRequest.choices,
            PermissionRequest.told,
            func.left(text, MOST_INPUT).label("input_text"),
            func.length(text).label("input_size"),
            PermissionRequest.status,
            PermissionRequest.behavior,
            PermissionRequest.reason,
            PermissionRequest.decided_by_id,
            decider.name.label("decider_name"),
            PermissionRequest.decided_at,
            PermissionRequest.expires_at,
            PermissionRequest.created_at,
            (false() if user is None else PermissionRequest.id.in_(_open_of(user))).label("mine"),
        )
        .join(Agent, Agent.id == PermissionRequest.agent_id)
        .join(Topic, Topic.id == PermissionRequest.topic_id)
        .outerjoin(Gateway, Gateway.id == PermissionRequest.gateway_id)
        .outerjoin(decider, decider.id == PermissionRequest.decided_by_id)
    )


def waiting(user: User) -> Select[*tuple[Any, ...]]:
    """What waits for this person, the oldest first."""
    return asked(user).where(PermissionRequest.id.in_(_open_of(user))).order_by(PermissionRequest.id)


def over(user: User, statuses: Collection[str], before: int | None = None) -> Select[*tuple[Any, ...]]:
    """What this person decided or could have decided and is now in one of these states, the newest first."""
    theirs = PermissionRequest.inbox_of(user).with_only_columns(PermissionRequest.id)
    found = asked(None).where(PermissionRequest.id.in_(theirs), PermissionRequest.status.in_(list(statuses)))
    if before is not None:
        found = found.where(PermissionRequest.id < before)
    return found.order_by(PermissionRequest.id.desc())


def by_message(session: Session, user: User | None, message_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """What was asked by these messages."""
    found = asked(user).where(PermissionRequest.message_id.in_(list(message_ids)))
    return {row.message_id: row for row in session.execute(found)}


def by_ids(session: Session, user: User | None, ids: Sequence[int]) -> dict[int, Row[Any]]:
    """These, as this person sees them."""
    return {row.id: row for row in session.execute(asked(user).where(PermissionRequest.id.in_(list(ids))))}


def inputs(session: Session, ids: Sequence[int]) -> dict[int, Any]:
    """The whole inputs of these, by id."""
    query = select(PermissionRequest.id, PermissionRequest.input).where(PermissionRequest.id.in_(list(ids)))
    return dict(session.execute(query).tuples().all())


def counted(user_id: int, decides: bool) -> Select[int]:
    """How much waits for this person (100 at most); `decides`: as in `PermissionRequest.inbox_by`."""
    mine = PermissionRequest.inbox_by(user_id, decides).where(PermissionRequest.status == ApprovalStatus.PENDING)
    some = mine.with_only_columns(PermissionRequest.id).limit(MOST_COUNTED)
    return select(func.count()).select_from(some.subquery())


def asking(session: Session, user: User) -> set[int]:
    """The agents that ask this person something."""
    return set(session.scalars(_open_of(user).with_only_columns(PermissionRequest.agent_id).distinct()))


def _open_of(user: User) -> Select[Any]:
    mine = PermissionRequest.inbox_of(user).where(PermissionRequest.status == ApprovalStatus.PENDING)
    return mine.with_only_columns(PermissionRequest.id)
