"""What is asked of people, as plain rows: what waits for a person, what was decided, what stands in a topic.

One statement each, however many rows there are. Of a long input only its beginning is read (`input_text`).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, Text, cast, false, func, select
from sqlalchemy.orm import Session, aliased

from models.agent import Agent
from models.gateway import Gateway
from models.permission_request import ApprovalStatus, PermissionRequest
from models.prepared import Few, among, prepared, rows
from models.topic import Topic
from models.user import Role, User

Rows = Sequence[Row[*tuple[Any, ...]]]

# Characters of an input (as JSON) that lists read; whoever reads more opens the approval's own page.
MOST_INPUT = 20_000
# Counting stops here: "99+".
MOST_COUNTED = 100


def asked(user_id: int | None, decides: bool) -> Select[*tuple[Any, ...]]:
    """All that is asked, to be narrowed: the request with agent, topic and decider.

    mine         whether this person may decide it (of what is open); nobody's eyes: never. `decides`: whether the
                 person's role lets them decide what others are named for
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
            (false() if user_id is None else PermissionRequest.id.in_(_open_of(user_id, decides))).label("mine"),
        )
        .join(Agent, Agent.id == PermissionRequest.agent_id)
        .join(Topic, Topic.id == PermissionRequest.topic_id)
        .outerjoin(Gateway, Gateway.id == PermissionRequest.gateway_id)
        .outerjoin(decider, decider.id == PermissionRequest.decided_by_id)
    )


def waiting(session: Session, user: User, limit: int, ids: Sequence[int] | None = None) -> Rows:
    """What waits for this person, the oldest first; of these ids, if given."""
    return rows(session, *_waiting(user.id, _decides(user), limit, ids))


@prepared
def _waiting(user_id: int, decides: bool, limit: Few, ids: Sequence[int] | None) -> Select[*tuple[Any, ...]]:
    found = asked(user_id, decides).where(PermissionRequest.id.in_(_open_of(user_id, decides)))
    if ids is not None:
        found = found.where(among(PermissionRequest.id, ids))
    return found.order_by(PermissionRequest.id).limit(limit)


def over(session: Session, user: User, statuses: Sequence[str], limit: int, before: int | None = None) -> Rows:
    """What this person decided or could have decided and is now in one of these states, the newest first."""
    return rows(session, *_over(user.id, _decides(user), statuses, limit, before))


@prepared
def _over(
    user_id: int, decides: bool, statuses: Sequence[str], limit: Few, before: int | None
) -> Select[*tuple[Any, ...]]:
    theirs = PermissionRequest.inbox_by(user_id, decides).with_only_columns(PermissionRequest.id)
    found = asked(None, False).where(PermissionRequest.id.in_(theirs), among(PermissionRequest.status, statuses))
    if before is not None:
        found = found.where(PermissionRequest.id < before)
    return found.order_by(PermissionRequest.id.desc()).limit(limit)


def by_message(session: Session, user: User | None, message_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """What was asked by these messages."""
    found = rows(session, *_by_message(*_eyes(user), message_ids))
    return {row.message_id: row for row in found}


@prepared
def _by_message(user_id: int | None, decides: bool, message_ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    return asked(user_id, decides).where(among(PermissionRequest.message_id, message_ids))


def by_ids(session: Session, user: User | None, ids: Sequence[int]) -> dict[int, Row[Any]]:
    """These, as this person sees them."""
    return {row.id: row for row in rows(session, *_by_ids(*_eyes(user), ids))}


@prepared
def _by_ids(user_id: int | None, decides: bool, ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    return asked(user_id, decides).where(among(PermissionRequest.id, ids))


def inputs(session: Session, ids: Sequence[int]) -> dict[int, Any]:
    """The whole inputs of these, by id."""
    query = select(PermissionRequest.id, PermissionRequest.input).where(PermissionRequest.id.in_(list(ids)))
    return dict(session.execute(query).tuples().all())


def counted(user_id: int, decides: bool) -> Select[int]:
    """How much waits for this person (100 at most); `decides`: as in `PermissionRequest.inbox_by`."""
    return select(func.count()).select_from(_open_of(user_id, decides).limit(MOST_COUNTED).subquery())


def asking(session: Session, user: User) -> set[int]:
    """The agents that ask this person something."""
    mine = _open_of(user.id, _decides(user))
    return set(session.scalars(mine.with_only_columns(PermissionRequest.agent_id).distinct()))


def _open_of(user_id: int, decides: bool) -> Select[Any]:
    mine = PermissionRequest.inbox_by(user_id, decides).where(PermissionRequest.status == ApprovalStatus.PENDING)
    return mine.with_only_columns(PermissionRequest.id)


def _eyes(user: User | None) -> tuple[int | None, bool]:
    return (None, False) if user is None else (user.id, _decides(user))


def _decides(user: User) -> bool:
    return user.is_at_least(Role.APPROVER)
