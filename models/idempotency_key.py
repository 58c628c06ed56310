"""What the first request with a key answered, so that a repeated one is answered, not done again."""

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id
from models.errors import Conflict, Invalid

KEPT = timedelta(hours=24)
# How long a write of two transactions may take in between; after that it has died with its process.
RUNS = timedelta(seconds=30)


class IdempotencyKey(Base):
    """One write with a key of its own, from one access token.

    While the write runs there is no row, only a lock of its transaction: whatever ends the transaction, the death of
    its process too, gives the key free. The row is stored by the very transaction that did the work. A write that waits
    between two transactions leaves a row without a status there.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("uq_idempotency_keys_token_id_key", "token_id", "key", unique=True),)

    id: Mapped[Id]
    token_id: Mapped[int] = mapped_column(ForeignKey("access_tokens.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(255))
    request_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column(Integer)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[Born]

    @classmethod
    def claim(
        cls, session: Session, token_id: int, key: str, digest: str, now: datetime, *, goes_on: bool = False
    ) -> "IdempotencyKey | None":
        """None: this request is the first and may run. A row: its answer is to be given again.

        `goes_on`: it is the first one's second transaction. Raises Invalid when the key was used for another request,
        Conflict while the first one still runs.
        """
        if not key or len(key) > 255 or not key.isprintable():
            raise Invalid("Idempotency-Key: give 1 to 255 printable characters.")
        name = func.hashtextextended(f"idempotency {token_id} {key}", 0)
        if not session.scalar(select(func.pg_try_advisory_xact_lock(name))):
            raise Conflict("The first request with this Idempotency-Key is still running.")
        found = session.scalars(select(cls).where(cls.token_id == token_id, cls.key == key)).first()
        if found is None or found.created_at < now - KEPT:
            return None
        if found.request_digest != digest:
            raise Invalid("Idempotency-Key: this key was used for another request. Use a new one.")
        if found.status is not None:
            return found
        if not goes_on and found.created_at > now - RUNS:
            raise Conflict("The first request with this Idempotency-Key is still running.")
        return None

    @classmethod
    def begun(cls, session: Session, token_id: int, key: str, digest: str) -> None:
        """Notes that the write goes on in a later transaction; under the claim."""
        cls.answered(session, token_id, key, digest, None, None)

    @classmethod
    def given_up(cls, session: Session, token_id: int, key: str) -> None:
        """Gives the key of a write free that will not go on."""
        session.execute(delete(cls).where(cls.token_id == token_id, cls.key == key, cls.status.is_(None)))

    @classmethod
    def answered(
        cls, session: Session, token_id: int, key: str, digest: str, status: int | None, body: bytes | None
    ) -> None:
        """Keeps what was answered, for a day from now; under the claim."""
        row = {"request_digest": digest, "status": status, "body": body, "created_at": func.now()}
        new = insert(cls).values(token_id=token_id, key=key, **row)
        session.execute(new.on_conflict_do_update(index_elements=["token_id", "key"], set_=row))

    @classmethod
    def forget_old(cls, session: Session, now: datetime) -> int:
        """Deletes what is older than a day; says how many."""
        return session.execute(delete(cls).where(cls.created_at < now - KEPT)).rowcount  # type: ignore[attr-defined]
