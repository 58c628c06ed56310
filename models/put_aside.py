"""Work that is put aside for a while: kept for an absent agent, parked for a decision, suspended for a reason.

A part of `Task`, in a file of its own.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from models import sentences
from models.task_status import SuspendedFor, TaskStatus


class PutAside:
    """What waits for something besides its turn. Expects the columns and verbs of `Task`."""

    untold_at: Any
    pending_tool_call: Any
    status: Any
    suspended_for: Any
    why: Any
    until: Any

    def let_go(self: Any, session: Session, agent: str, words: str, keep_until: datetime, now: datetime) -> None:
        """Its agent stayed away: kept until then; or cancelled, when that is now, and its topic is told on return.

        What its tools asked stays open: behind a broken line they may still wait, and the decision is told on return.
        """
        self.pending_tool_call = None
        if keep_until <= now:
            self.untold_at = now
            self.finish(session, TaskStatus.CANCELLED, words.format(agent=agent), now, "hub")
        else:
            why = sentences.KEPT.format(agent=agent, until=sentences.at(keep_until))
            self.suspend(session, SuspendedFor.AGENT_OFFLINE, why, keep_until)

    def park(self: Any, session: Session, request_id: str, now: datetime) -> None:
        """It waits for a person's decision: the topic goes on past it, or the answer would queue behind it."""
        self.pending_tool_call = {"request_id": request_id, "requested_at": now.isoformat()}
        self.note(session, "asked", "Waits for a person's decision.", "hub")
        self.changed(session)

    def suspend(self: Any, session: Session, reason: SuspendedFor, why: str, until: datetime | None) -> None:
        """Puts it aside and frees its place. The generation stays until it is given out again.

        Without `until` it goes on when its turn comes, unless it has steps. Said again for the same reason, the
        timeline has no second line.
        """
        if self.suspended_for != reason:
            self.note(session, "suspended", why, "hub")
        self.status, self.suspended_for, self.why, self.until = TaskStatus.SUSPENDED, reason, why, until
        self._end_attempt(session)
        self.changed(session)
