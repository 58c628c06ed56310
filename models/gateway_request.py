"""A wish put to whoever holds a gateway: the door writes it and commits, the holder claims it, acts, and answers.

pending -> claimed -> done      with an answer
claimed -> pending              the connection was lost, and what was asked still has to be told
pending, claimed -> refused     with a code and a sentence
pending, claimed -> expired     nobody answered before the deadline
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Index, Select, String, Text, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id, Time
from models.broadcast import broadcast
from models.errors import Forbidden
from models.gateway import Gateway
from models.prepared import prepared
from models.sealed import Sealed
from models.user import Role, User

ANSWER_WITHIN = timedelta(seconds=10)
# A gateway that is away when somebody stops its work is told on its return: it may go on with it then.
STOP_WITHIN = timedelta(minutes=2)


class Verb(StrEnum):
    """What may be asked of a gateway, and nothing else."""

    TEST = "test"
    ABORT = "abort"
    LIST_AGENTS = "list_agents"
    CREATE_AGENT = "create_agent"
    RESOLVE_APPROVAL = "resolve_approval"
    ROTATE = "rotate"
    ADOPT = "adopt"
    RESET_SESSION = "reset_session"


# The role that each verb needs; None: whoever may act on what it is about, as the door has judged.
ROLES: dict[Verb, Role | None] = {
    Verb.TEST: Role.OPERATOR,
    Verb.ABORT: None,
    Verb.LIST_AGENTS: Role.OPERATOR,
    Verb.CREATE_AGENT: Role.OPERATOR,
    Verb.RESOLVE_APPROVAL: None,
    Verb.ROTATE: Role.OPERATOR,
    Verb.ADOPT: Role.OPERATOR,
    Verb.RESET_SESSION: None,
}


# What a person has decided is told once the gateway is back; whoever waits for anything else looks at a page.
INSISTS = (Verb.ABORT, Verb.RESOLVE_APPROVAL)


class RequestStatus(StrEnum):
    """Where it stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"


class GatewayRequest(Base):
    """One wish. Its arguments are sealed, as they may carry a secret, and wiped when it is answered."""

    __tablename__ = "gateway_requests"
    __table_args__ = (
        Index("ix_gateway_requests_open", "gateway_id", "id", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[Id]
    # None: a draft that is not stored yet; any process may try it.
    gateway_id: Mapped[int | None] = mapped_column(BigInteger)
    verb: Mapped[str] = mapped_column(String(32))
    arguments: Mapped[str | None] = mapped_column(Sealed)
    asked_by: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16), default=RequestStatus.PENDING)
    created_at: Mapped[Born]
    deadline: Mapped[Time]
    claimed_by: Mapped[int | None] = mapped_column(BigInteger)
    claimed_at: Mapped[Time | None]
    finished_at: Mapped[Time | None]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    refusal_code: Mapped[str | None] = mapped_column(String(32))
    refusal_text: Mapped[str | None] = mapped_column(Text)

    @property
    def stream(self) -> str:
        """Where it is said that it was written: the gateway's stream, or the one of drafts."""
        return "drafts" if self.gateway_id is None else f"gateway:{self.gateway_id}"

    @property
    def given(self) -> dict[str, Any]:
        """Its arguments, opened."""
        return msgspec.json.decode(self.arguments.encode()) if self.arguments else {}

    @classmethod
    def ask(
        cls,
        session: Session,
        verb: Verb,
        gateway_id: int | None,
        user: User | None,
        now: datetime,
        within: timedelta = ANSWER_WITHIN,
        **arguments: Any,
    ) -> "GatewayRequest":
        """Writes the wish; whoever holds the gateway is nudged at the commit. `user` None: the hub itself asks.

        Raises Forbidden when the verb needs a higher role.
        """
        role = ROLES[verb]
        if user is not None and role is not None and not user.is_at_least(role):
            raise Forbidden(f"This needs the role {role}. An admin can give it to you under People.")
        asked = cls(
            gateway_id=gateway_id,
            verb=verb,
            arguments=msgspec.json.encode(arguments).decode(),
            asked_by=None if user is None else user.id,
            deadline=now + within,
        )
        session.add(asked)
        session.flush()
        broadcast(session, asked.stream, "request", request=asked.id)
        return asked

    @classmethod
    def claim(
        cls, session: Session, gateway_id: int | None, process_id: int, now: datetime, only: Verb | None = None
    ) -> "GatewayRequest | None":
        """Takes the oldest pending wish of this gateway (None: of the drafts) that is still in time, if any."""
        mine = cls.gateway_id.is_(None) if gateway_id is None else cls.gateway_id == gateway_id
        wanted = (mine, cls.status == RequestStatus.PENDING, cls.deadline > now)
        query = select(cls).where(*wanted).order_by(cls.id).limit(1)
        if only is not None:
            query = query.where(cls.verb == only)
        found = session.scalars(query.with_for_update(skip_locked=True)).first()
        if found is not None:
            found.status, found.claimed_by, found.claimed_at = RequestStatus.CLAIMED, process_id, now
            session.flush()
        return found

    @classmethod
    def waits(cls, session: Session, gateway_id: int | None, now: datetime) -> bool:
        """Whether something is asked of this gateway (None: of a draft) that nobody has claimed yet."""
        return session.scalars(*cls._waiting(gateway_id, now)).first() is not None

    @classmethod
    @prepared
    def _waiting(cls, gateway_id: int | None, now: datetime) -> Select[int]:
        which = cls.gateway_id.is_(None) if gateway_id is None else cls.gateway_id == gateway_id
        return select(cls.id).where(which, cls.status == RequestStatus.PENDING, cls.deadline > now).limit(1)

    @classmethod
    def of_unheld(cls, session: Session, now: datetime) -> list[int]:
        """Gateways of which something is asked and that nobody holds."""
        return [id for id in session.scalars(*cls._of_unheld(now)) if id is not None]

    @classmethod
    @prepared
    def _of_unheld(cls, now: datetime) -> Select[int | None]:
        held = exists().where(Gateway.id == cls.gateway_id, Gateway.held_until > func.clock_timestamp())
        mine = (cls.gateway_id.is_not(None), cls.status == RequestStatus.PENDING, cls.deadline > now, ~held)
        return select(cls.gateway_id).where(*mine).distinct()

    def done(self, session: Session, answer: dict[str, Any], now: datetime) -> None:
        """Stores the answer and wipes the arguments."""
        self.answer = answer
        self._end(session, RequestStatus.DONE, now)

    def refuse(self, session: Session, code: str, words: str, now: datetime) -> None:
        """Stores why it was not done and wipes the arguments."""
        self.refusal_code, self.refusal_text = code, words
        self._end(session, RequestStatus.REFUSED, now)

    def put_back(self, session: Session, now: datetime) -> bool:
        """Whoever claimed it could not reach the gateway. False when it is over, or too late. Nobody is nudged."""
        if self.finished_at is not None or self.deadline <= now:
            return False
        self.status, self.claimed_by, self.claimed_at = RequestStatus.PENDING, None, None
        session.flush()
        return True

    @classmethod
    def put_back_all(cls, session: Session, gateway_id: int, now: datetime) -> int:
        """The process that held this gateway is gone: what it has claimed of `INSISTS` and not told; says how many."""
        left = (cls.gateway_id == gateway_id, cls.status == RequestStatus.CLAIMED, cls.verb.in_(INSISTS))
        again = update(cls).where(*left, cls.finished_at.is_(None), cls.deadline > now).returning(cls.id)
        values = {"status": RequestStatus.PENDING, "claimed_by": None, "claimed_at": None}
        return len(session.scalars(again.values(values)).all())

    @classmethod
    def expire(cls, session: Session, now: datetime) -> int:
        """Ends what nobody answered in time; says how many."""
        late = or_(cls.status == RequestStatus.PENDING, cls.status == RequestStatus.CLAIMED)
        over = update(cls).where(late, cls.deadline <= now).returning(cls.id)
        words = "The gateway did not answer in time. It may be away; try again."
        ended = over.values(
            status=RequestStatus.EXPIRED,
            arguments=None,
            finished_at=now,
            refusal_code="unreachable",
            refusal_text=words,
        )
        ids = session.scalars(ended).all()
        for id in ids:
            broadcast(session, "hub", "request", request=id)
        return len(ids)

    def _end(self, session: Session, status: RequestStatus, now: datetime) -> None:
        self.status, self.arguments, self.finished_at = status, None, now
        session.flush()
        broadcast(session, "hub", "request", request=self.id)
