"""An approval as programs see it."""

from datetime import datetime
from typing import Any

import msgspec

from models.permission_request import ApprovalStatus, Behavior, Kind, PermissionRequest


class Decider(msgspec.Struct):
    """Who decided."""

    id: int
    name: str


class Approval(msgspec.Struct):
    """What an agent, its tool or a gateway's command asks of a person; `allowed` are the decisions to choose from."""

    id: int
    kind: Kind
    request_id: str
    agent_id: int
    topic_id: int
    task_id: int | None
    gateway_id: int | None
    tool_name: str | None
    description: str | None
    input: dict[str, Any] | str | None
    question: str | None
    allowed: list[Behavior]
    status: ApprovalStatus
    reason: str | None
    decided_by: Decider | None
    decided_at: datetime | None
    expires_at: datetime | None
    created_at: datetime


class Approvals(msgspec.Struct):
    """A page of approvals; `next` asks for more."""

    items: list[Approval]
    next: int | None


def shown(row: PermissionRequest) -> Approval:
    """A permission request."""
    decider = row.decided_by
    return Approval(
        id=row.id,
        kind=Kind(row.kind),
        request_id=row.request_id,
        agent_id=row.agent_id,
        topic_id=row.topic_id,
        task_id=row.task_id,
        gateway_id=row.gateway_id,
        tool_name=row.tool_name,
        description=row.description,
        input=row.input,
        question=row.question,
        allowed=row.allowed,
        status=ApprovalStatus(row.status),
        reason=row.reason,
        decided_by=None if decider is None else Decider(decider.id, decider.name),
        decided_at=row.decided_at,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )
