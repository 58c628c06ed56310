"""Commands that wait for a person, in today's dialect: asked and decided. Protocol 3 tells the outcome in a run."""

from typing import Any

from webapp.gateways.wire import LONGEST_WORDS, ApprovalEvent, Event, mapping, moment, text_or_none, texts

FOLLOW_UP = "exec-approval-followup:"


def approval_event(event: Event) -> ApprovalEvent | None:
    """A command of a gateway that waits for a person, or was decided; None for every other event."""
    for kind in ("requested", "resolved"):
        if event.name == f"exec.approval.{kind}":
            return approval(kind, event.payload)
    return None


def approval(kind: str, value: Any) -> ApprovalEvent | None:
    """An approval in an event or in the list of `exec.approval.list`; None without an id one can keep."""
    payload = mapping(value)
    asked = mapping(payload.get("request"))
    id = text_or_none(payload.get("id"))
    if id is None or len(id) > LONGEST_WORDS:
        return None
    command = asked.get("command")
    return ApprovalEvent(
        kind=kind,
        id=id,
        command=command if isinstance(command, str) else "",
        cwd=text_or_none(asked.get("cwd")),
        host=text_or_none(asked.get("host")),
        agent_id=text_or_none(asked.get("agentId")),
        session_key=text_or_none(asked.get("sessionKey")),
        run_id=text_or_none(asked.get("runId")),
        allowed=texts(asked.get("allowedDecisions")),
        expires_at=moment(payload.get("expiresAtMs")),
        decision=text_or_none(payload.get("decision")),
        resolved_by=text_or_none(payload.get("resolvedBy")),
        raw=payload,
    )


def read_approvals(payload: Any) -> list[ApprovalEvent]:
    """What `exec.approval.list` was answered with: those that still wait."""
    lines = payload if isinstance(payload, list) else mapping(payload).get("approvals", mapping(payload).get("pending"))
    found = [approval("requested", line) for line in lines] if isinstance(lines, list) else []
    return [line for line in found if line is not None]


def followed_approval(run_id: str) -> str | None:
    """The approval whose outcome this run tells (protocol 3: the answer comes as a run of its own), or None."""
    return run_id.removeprefix(FOLLOW_UP) or None if run_id.startswith(FOLLOW_UP) else None
