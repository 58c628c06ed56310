"""The nudge that something happened on a stream: a NOTIFY of ids that leaves with the commit, or never."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.orm import Session

# One channel for all: NOTIFY serialises commits, and each listener pays for every channel it reads.
CHANNEL = "switchyard"
NOTIFY = text(
    "SELECT pg_notify(:channel, payload)"
    " FROM unnest(CAST(:payloads AS text[])) WITH ORDINALITY AS n(payload, place) ORDER BY place"
)


@dataclass(frozen=True)
class Broadcast:
    """What happened (`event`) on which stream, and to which rows. Carries ids only: 8,000 bytes are the limit."""

    stream: str
    event: str
    ids: dict[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.stream, self.event))

    def payload(self) -> str:
        """The text of the NOTIFY."""
        return json.dumps({"s": self.stream, "e": self.event, "i": self.ids}, separators=(",", ":"))

    @classmethod
    def parse(cls, payload: str) -> "Broadcast":
        """Reads what `payload` wrote. Raises ValueError for anything else."""
        read = json.loads(payload)
        try:
            return cls(read["s"], read["e"], read["i"])
        except (KeyError, TypeError) as error:
            raise ValueError("not a broadcast") from error


def broadcast(session: Session, stream: str, name: str, **ids: Any) -> None:
    """Says at the commit of this transaction that `name` happened on `stream`. The same nudge is sent once."""
    noted = session.info.setdefault("broadcasts", [])
    nudge = Broadcast(stream, name, ids)
    if nudge not in noted:
        noted.append(nudge)


def noted(session: Session) -> list[Broadcast]:
    """What this transaction will say when it commits. For tests."""
    return list(session.info.get("broadcasts", []))


def forget(session: Session) -> None:
    """Takes back all that was noted: what it tells of was undone."""
    session.info.pop("broadcasts", None)


def send(session: Session, nudges: Iterable[Broadcast]) -> None:
    """Puts the nudges into the transaction, all in one statement."""
    payloads = [nudge.payload() for nudge in nudges]
    if payloads:
        session.execute(NOTIFY, {"channel": CHANNEL, "payloads": payloads})


@event.listens_for(Session, "before_commit")
def _send_at_commit(session: Session) -> None:
    send(session, session.info.pop("broadcasts", []))


@event.listens_for(Session, "after_rollback")
def _forget_at_rollback(session: Session) -> None:
    forget(session)
