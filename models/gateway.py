"""An OpenClaw gateway that this hub talks to: what is wanted of it, how it stands, and which process holds it.

Pages, API and commands write what is *wanted*; the process that holds the gateway makes it so and writes how it stands.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    Index,
    Integer,
    String,
    Text,
    and_,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import gateway_states
from models.activity import Activity, ActivityKind
from models.base import Base, Born, Id, Time
from models.broadcast import broadcast
from models.gateway_states import STEADY, ConnectionState, GatewayState, Happening, Problem
from models.sealed import Sealed

# A lease is renewed every two seconds and over after eight by the database's clock; its holder closes its socket
# when its own clock says six seconds since the last renewal.
LEASE_SECONDS = 8


class Holder(NamedTuple):
    """Who holds a gateway: what it writes stands or falls with its epoch."""

    gateway_id: int
    epoch: int
    name: str


# What is asked of it every few seconds, or with everything that is written for it, is written out.
HELD = text(
    "SELECT id FROM gateways WHERE id = :id AND hold_epoch = :epoch AND held_until > clock_timestamp() FOR SHARE"
)

RENEW = text(
    "UPDATE gateways SET held_until = clock_timestamp() + :lease"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:epochs AS bigint[])) AS mine (id, epoch)"
    " WHERE gateways.id = mine.id AND hold_epoch = mine.epoch AND held_by IS NOT NULL RETURNING gateways.id"
)
STANDS = text(
    "UPDATE gateways SET latency_ms = now.latency, open_runs = now.runs, buffered_bytes = now.size"
    " FROM (SELECT g.id, coalesce(CAST(:latency AS float), g.latency_ms), CAST(:runs AS integer), CAST(:size AS bigint)"
    " FROM gateways g WHERE g.id = :id AND g.hold_epoch = :epoch) AS now (id, latency, runs, size)"
    " WHERE gateways.id = now.id AND hold_epoch = :epoch"
    " AND (latency_ms, open_runs, buffered_bytes) IS DISTINCT FROM (now.latency, now.runs, now.size)"
)


class Gateway(Base):
    """One gateway. Several with the same address and the same token share one socket."""

    __tablename__ = "gateways"
    __table_args__ = (
        Index("uq_gateways_name", text("lower(name)"), unique=True, postgresql_where=text("removed_at IS NULL")),
        Index("ix_gateways_address", "address"),
        Index("ix_gateways_wanted", "id", postgresql_where=text("wanted AND removed_at IS NULL")),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(80))
    # As it was given, and as it is compared (`models.gateway_address.normalise`).
    url: Mapped[str] = mapped_column(String(500))
    address: Mapped[str] = mapped_column(String(500))
    dialect: Mapped[str] = mapped_column(String(16), default="openclaw", server_default="openclaw")
    token: Mapped[str | None] = mapped_column(Sealed)
    token_set_at: Mapped[Time | None]
    # This hub's device at this gateway, and what the gateway granted it.
    device_key: Mapped[str | None] = mapped_column(Sealed)
    device_token: Mapped[str | None] = mapped_column(Sealed)
    device_scopes: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))

    # What is wanted.
    wanted: Mapped[bool] = mapped_column(Boolean, default=True)
    keep: Mapped[bool] = mapped_column(Boolean, default=True)
    draining: Mapped[bool] = mapped_column(Boolean, default=False)
    restart_wanted_at: Mapped[Time | None]
    # Raised whenever somebody changes what a refused secret or a bad configuration waits for.
    changed_at: Mapped[Time | None]

    # How it stands.
    state: Mapped[str] = mapped_column(String(16), default=GatewayState.STOPPED)
    connection: Mapped[str] = mapped_column(String(16), default=ConnectionState.DISCONNECTED)
    reason: Mapped[str | None] = mapped_column(Text)
    problem_code: Mapped[str | None] = mapped_column(String(24))
    # The gateway's own words, and what belongs to the problem: {"request_id", "scopes", "line", ...}.
    problem_text: Mapped[str | None] = mapped_column(Text)
    problem_facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_attempt_at: Mapped[Time | None]
    connected_at: Mapped[Time | None]
    state_since: Mapped[Born]
    protocol: Mapped[int | None]
    version: Mapped[str | None] = mapped_column(String(64))
    boot_id: Mapped[str | None] = mapped_column(String(80))
    scopes: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    missing_scopes: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    latency_ms: Mapped[float | None] = mapped_column(Float)
    open_runs: Mapped[int] = mapped_column(Integer, default=0)
    buffered_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    # Its agents, as it listed them last: [{"id", "name"}].
    listed_agents: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    listed_at: Mapped[Time | None]

    # Who holds it.
    held_by: Mapped[int | None] = mapped_column(BigInteger)
    hold_epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    held_until: Mapped[Time | None]

    # A process of this machine that we start and watch.
    managed: Mapped[bool] = mapped_column(Boolean, default=False)
    port: Mapped[int | None]
    command: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    env: Mapped[str | None] = mapped_column(Sealed)
    pid: Mapped[int | None]
    # The start of that pid by the system's clock (seconds since 1970): a pid alone may be somebody else's by now.
    pid_started: Mapped[float | None] = mapped_column(Float)
    pid_host: Mapped[str | None] = mapped_column(String(255))
    adopted: Mapped[bool] = mapped_column(Boolean, default=False)
    process_started_at: Mapped[Time | None]
    last_exit: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    port_holder: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Born]
    removed_at: Mapped[Time | None]

    @property
    def stream(self) -> str:
        """Where what is wanted of it, and how it stands, is broadcast."""
        return f"gateway:{self.id}"

    # -- what happens to it ------------------------------------------------------------------------------------

    def happened(
        self,
        session: Session,
        happening: Happening,
        now: datetime,
        words: str,
        *,
        connection: ConnectionState | None = None,
        problem: Problem | None = None,
        problem_text: str | None = None,
        problem_facts: dict[str, Any] | None = None,
        detail: str | None = None,
        line: str | None = None,
        actor: str = "hub",
        retry_in: timedelta | None = None,
        chance: float = 0.5,
    ) -> GatewayState:
        """Walks the state machine (`models.gateway_states`), writes a line in the timeline, tells who looks.

        `words` is a whole sentence with the cause; `line` stands in the timeline instead where the cause does already.
        `retry_in` overrides the usual wait before the next try; a state that waits for a person has no next try.
        A try that fails as the one before it did is counted in `attempts` and is no line.
        """
        self.attempts = self._attempts_after(happening, now)
        before = self.state
        told = happening is Happening.FAILED and line is None and (words, problem) == (self.reason, self.problem_code)
        self.state = gateway_states.after(GatewayState(self.state), happening, self.attempts)
        if self.state != before:
            self.state_since = now
        self.reason = words
        self.problem_code, self.problem_text, self.problem_facts = problem, problem_text, problem_facts
        self.connection = connection or self._connection_after(happening)
        self.connected_at = now if happening is Happening.CONNECTED else None
        waits = self.state in (GatewayState.RECONNECTING, GatewayState.ERROR) and happening is not Happening.REFUSED
        delay = retry_in if retry_in is not None else gateway_states.retry_delay(self.attempts, chance)
        self.next_attempt_at = now + delay if (waits or retry_in is not None) else None
        if not told or self.state != before:
            self.note(session, str(happening), line or words, detail=detail, actor=actor)
        self.changed(session)
        return GatewayState(self.state)

    def _attempts_after(self, happening: Happening, now: datetime) -> int:
        """How many tries have failed in a row. Of a process of ours, one that was not well for a minute has failed."""
        if happening is Happening.FAILED:
            return self.attempts + 1
        if happening is Happening.LOST and self.managed and self.connected_at is not None:
            return 0 if now - self.connected_at >= STEADY else self.attempts + 1
        kept = happening in (Happening.LOST, Happening.REFUSED) or (happening is Happening.CONNECTED and self.managed)
        return self.attempts if kept else 0

    def settle(self, session: Session, now: datetime) -> None:
        """Forgets the tries that failed, once it has been connected for a minute."""
        steady = self.connected_at is not None and now - self.connected_at >= STEADY
        if steady and self.attempts:
            self.attempts = 0
            self.changed(session)

    def _connection_after(self, happening: Happening) -> ConnectionState:
        if happening is Happening.CONNECTED:
            return ConnectionState.CONNECTED
        if self.state == GatewayState.RECONNECTING:
            return ConnectionState.RECONNECTING
        begins = happening in (Happening.WANTED, Happening.RESTART)
        return ConnectionState.CONNECTING if begins else ConnectionState.DISCONNECTED

    def note(
        self, session: Session, event: str, words: str, *, detail: str | None = None, actor: str = "hub", **about: Any
    ) -> None:
        """A line in its timeline; who listens to its stream is told of which kind it is (`told_as`)."""
        broadcast(session, self.stream, gateway_states.told_as(event, self.problem_code), gateway=self.id)
        Activity.record(
            session,
            ActivityKind.GATEWAY,
            event,
            words,
            detail=detail,
            actor=actor,
            gateway_id=self.id,
            state=self.state,
            connection=self.connection,
            **about,
        )

    def changed(self, session: Session) -> None:
        """Tells the process that holds it, and the pages that show it."""
        session.flush()
        broadcast(session, self.stream, "gateway", gateway=self.id)
        broadcast(session, "hub", "gateways", gateway=self.id)

    # -- who holds it ------------------------------------------------------------------------------------------

    @classmethod
    def hold(cls, session: Session, id: int, process_id: int) -> int | None:
        """Takes the lease when nobody has it or it is over; the new epoch, None when somebody has it."""
        free = or_(cls.held_by.is_(None), cls.held_until.is_(None), cls.held_until <= func.clock_timestamp())
        taken = (
            update(cls)
            .where(cls.id == id, or_(cls.removed_at.is_(None), cls.is_to_be_ended()), free)
            .values(held_by=process_id, hold_epoch=cls.hold_epoch + 1, held_until=_lease())
        )
        return session.execute(taken.returning(cls.hold_epoch)).scalar_one_or_none()

    @classmethod
    def is_to_be_ended(cls) -> ColumnElement[bool]:
        """The condition for one with a process that somebody has to look after, be it wanted or not."""
        return and_(cls.managed, cls.pid.is_not(None))

    @classmethod
    def renew(cls, session: Session, epochs: dict[int, int]) -> set[int]:
        """Renews the leases {gateway id: epoch} in one statement; the ids of those that are still held."""
        if not epochs:
            return set()
        values = {"ids": list(epochs), "epochs": list(epochs.values()), "lease": timedelta(seconds=LEASE_SECONDS)}
        return set(session.scalars(RENEW, values))

    @classmethod
    def release(cls, session: Session, id: int, epoch: int) -> None:
        """Gives the lease back; an older holder's word changes nothing."""
        over = update(cls).where(cls.id == id, cls.hold_epoch == epoch)
        session.execute(over.values(held_by=None, held_until=None))
        broadcast(session, "hub", "gateways", gateway=id)

    @classmethod
    def is_held(cls, session: Session, id: int, epoch: int) -> bool:
        """Whether this epoch still holds it, under a share lock: what is written next stands or falls with it."""
        return session.execute(HELD, {"id": id, "epoch": epoch}).first() is not None

    @classmethod
    def stands(
        cls, session: Session, id: int, epoch: int, latency_ms: float | None, open_runs: int, buffered_bytes: int
    ) -> None:
        """What its holder measures of it, in one statement. None: not measured yet. Written is only what is new."""
        figures = {"latency": latency_ms, "runs": open_runs, "size": buffered_bytes}
        session.execute(STANDS, {"id": id, "epoch": epoch, **figures})

    @classmethod
    def to_hold(cls, session: Session) -> list[int]:
        """Wanted gateways that nobody holds now, by id."""
        free = or_(cls.held_by.is_(None), cls.held_until.is_(None), cls.held_until <= func.clock_timestamp())
        query = select(cls.id).where(cls.wanted, cls.removed_at.is_(None), free).order_by(cls.id)
        return list(session.scalars(query))


def _lease() -> Any:
    return func.clock_timestamp() + timedelta(seconds=LEASE_SECONDS)
