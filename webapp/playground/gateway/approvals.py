"""Commands that wait for a person: asked, decided once, closed with the run, or forgotten when their time is over."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from webapp.playground.gateway.house import House, Listener, may
from webapp.playground.gateway.refusals import Refused
from webapp.playground.gateway.sessions import Session, milliseconds

HEADLESS = "Exec denied: Headless runs cannot wait for interactive exec approval"
NEEDED_CAPS = {"approvals", "exec-approvals"}


@dataclass
class Approval:
    """One question; `decided` is called once, with the decision or None when nobody decided in time."""

    request: dict[str, Any]
    asker: str | None
    decided: Callable[["Approval"], None]
    expires_at: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: int = field(default_factory=milliseconds)
    decision: str | None = None
    over: bool = False

    def as_json(self, protocol: int) -> dict[str, Any]:
        """As `exec.approval.requested` tells it."""
        times = {"createdAtMs": self.created_at, "expiresAtMs": self.expires_at}
        kind = {"approvalKind": "exec"} if protocol > 3 else {}
        return {**kind, "id": self.id, "request": self.request, **times}


class Approvals:
    """Lives as long as the process does: a crash forgets them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._all: dict[str, Approval] = {}

    @property
    def pending(self) -> list[Approval]:
        """Those that wait, oldest first."""
        return [each for each in self._all.values() if not each.over]

    def possible(self, asker: Listener | None) -> bool:
        """Protocol 4: whether a run of this sender may wait for a person at all."""
        admitted = asker.admitted if asker else None
        if admitted is None or not admitted.caps >= NEEDED_CAPS or not may(admitted, "operator.approvals"):
            return False
        return admitted.device_token is not None or "operator.admin" in admitted.scopes

    def ask(
        self,
        session: Session,
        command: str,
        run_id: str,
        call_id: str,
        asker: Listener | None,
        then: Callable[[Approval], None],
    ) -> Approval:
        """Put a command before those who may decide it."""
        settings = self._house.settings
        allowed = ["allow-once", "deny"] if settings.protocol > 3 else ["allow-once", "allow-always", "deny"]
        request: dict[str, Any] = {
            "command": command,
            "cwd": f"/playground/{session.agent_id}",
            "host": "gateway",
            "security": "allowlist",
            "ask": "on-miss",
            "warningText": None,
            "allowedDecisions": allowed,
            "agentId": session.agent_id,
            "sessionKey": session.key,
        }
        if settings.protocol > 3:
            analysis = {"commandCount": 1, "nestedCommandCount": 0, "riskKinds": [], "warningLines": []}
            request |= {"runId": run_id, "toolCallId": call_id, "commandAnalysis": analysis}
        expires = milliseconds() + round(settings.approval * 1000)
        approval = Approval(request, asker.id if asker else None, then, expires)
        self._all[approval.id] = approval
        self._tell("exec.approval.requested", approval, approval.as_json(settings.protocol))
        self._house.clock.after(settings.approval, lambda: self._expire(approval))
        self._house.notify()
        return approval

    def resolve(self, id: str, decision: str, by: str) -> None:
        """A person decides; Refused when it is too late or not among the allowed decisions."""
        approval = self._all.get(id)
        if approval is None or (approval.over and approval.decision is None):
            remedy = "Re-request the action; pending approvals are cleared after expiry or restart."
            details = {"reason": "APPROVAL_NOT_FOUND", "remediation": remedy}
            raise Refused("INVALID_REQUEST", "unknown or expired approval id", details)
        if approval.over:
            if approval.decision == decision:
                return
            details = {"reason": "APPROVAL_ALREADY_RESOLVED"}
            raise Refused("INVALID_REQUEST", "approval already resolved", details)
        if decision not in approval.request["allowedDecisions"]:
            raise Refused("INVALID_REQUEST", f"decision {decision!r} is not allowed for this approval")
        self._settle(approval, decision, by)
        approval.decided(approval)

    def close(self, approval: Approval) -> None:
        """The run that asked is over."""
        if not approval.over:
            self._settle(approval, "deny", "approval-scope-closed")

    def _settle(self, approval: Approval, decision: str, by: str) -> None:
        approval.decision, approval.over = decision, True
        payload = {
            "id": approval.id,
            "decision": decision,
            "resolvedBy": by,
            "ts": milliseconds(),
            "request": approval.request,
        }
        self._tell("exec.approval.resolved", approval, payload)

    def _expire(self, approval: Approval) -> None:
        if not approval.over:
            approval.over = True
            approval.decided(approval)

    def _tell(self, name: str, approval: Approval, payload: dict[str, Any]) -> None:
        for each in list(self._house.connections):
            if each.admitted is None or not may(each.admitted, "operator.approvals"):
                continue
            if (
                self._house.settings.protocol < 4
                or each.id == approval.asker
                or "operator.admin" in each.admitted.scopes
            ):
                each.event(name, payload)
