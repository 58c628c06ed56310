"""What happened, in the words of the wire; and how the rows behind a batch of broadcasts are read.

The fields of a dispatch are the agent channel's (docs/agents.md): plugins compare ids as JSON integers.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from models import inbox, under_way
from models.broadcast import Broadcast
from models.database import reading
from models.permission_request import Kind, PermissionRequest
from models.reading import dispatches, messages_by_id, tasks_by_id, work_on
from webapp import running


def iso(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, ending in Z."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dispatch(row: Any) -> bytes:
    """The payload that tells a plugin of its task, from a row of `models.reading.dispatches`."""
    goes_on = {} if row.approval_request_id is None else {"approval_request_id": row.approval_request_id}
    return msgspec.json.encode(
        {
            "type": "dispatch",
            "agent_id": row.agent_id,
            "task_id": row.id,
            "execution_generation": row.generation,
            "session_topic": row.only_session is not None,
            **goes_on,
            "comment": {
                "id": row.message_id,
                "content": row.content,
                "author_id": row.author_id,
                "author_name": row.author_name,
                "topic_id": row.topic_id,
                "creative_id": row.creative_id,
                "created_at": iso(row.created_at),
            },
        }
    )


def decision(row: PermissionRequest) -> bytes:
    """What was decided: exactly four fields for a tool; a question is told who decided, and why, too."""
    frame = {
        "type": "permission_decision",
        "request_id": row.request_id,
        "behavior": row.behavior,
        "agent_id": row.agent_id,
    }
    if row.kind == Kind.QUESTION:
        frame |= {"reason": row.reason} if row.reason else {}
        frame |= {"decided_by": row.decided_by_id, "decided_by_name": row.decided_by.name if row.decided_by else ""}
    return msgspec.json.encode(frame)


def read_decisions(nudges: Sequence[Broadcast]) -> list[Any]:
    """The decided request of each nudge."""
    with reading() as session:
        found = PermissionRequest.by_ids(session, [nudge.ids["request"] for nudge in nudges])
    return [found.get(nudge.ids["request"]) for nudge in nudges]


def read_dispatches(nudges: Sequence[Broadcast]) -> list[Any]:
    """The task of each nudge, None for one that is gone."""
    with reading() as session:
        found = dispatches(session, [nudge.ids["task"] for nudge in nudges])
    return [found.get(nudge.ids["task"]) for nudge in nudges]


def read_messages(nudges: Sequence[Broadcast]) -> list[Any]:
    """The message of each nudge, with its author."""
    with reading() as session:
        found = messages_by_id(session, [nudge.ids["message"] for nudge in nudges])
    return [found.get(nudge.ids["message"]) for nudge in nudges]


def read_tasks(nudges: Sequence[Broadcast]) -> list[Any]:
    """For each nudge the messages its task carries, and all the work on them: (messages, work rows)."""
    ids = [nudge.ids["task"] for nudge in nudges]
    with reading() as session:
        carried = _carried(session, ids)
        messages = list(set().union(*carried.values()))
        words = messages_by_id(session, messages)
        rows = work_on(session, messages)
    found = []
    for id in ids:
        mine = carried.get(id, set())
        on_them = [row for row in rows if row.carried_id in mine]
        found.append(([words[one] for one in sorted(mine) if one in words], on_them))
    return found


def _carried(session: Session, task_ids: Sequence[int]) -> dict[int, set[int]]:
    carried: dict[int, set[int]] = {}
    for row in tasks_by_id(session, task_ids):
        carried.setdefault(row.id, set()).add(row.carried_id)
    return carried


def read_approvals(nudges: Sequence[Broadcast]) -> list[Any]:
    """What is asked, of each nudge, as nobody in particular sees it."""
    with reading() as session:
        found = inbox.by_ids(session, None, [nudge.ids["request"] for nudge in nudges])
    return [found.get(nudge.ids["request"]) for nudge in nudges]


def read_answers(nudges: Sequence[Broadcast]) -> list[Any]:
    """The running answer of each nudge as its row has it now; None once it is over."""
    runs = [(nudge.ids["gateway"], nudge.ids["run"]) for nudge in nudges]
    with reading() as session:
        found = under_way.by_runs(session, set(runs))
    return [running.of_row(found[run]) if run in found else None for run in runs]


READERS = {
    running.EVENT: read_answers,
    "approval": read_approvals,
    "decision": read_decisions,
    "dispatch": read_dispatches,
    "message": read_messages,
    "task": read_tasks,
}
