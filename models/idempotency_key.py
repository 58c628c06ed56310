"""What the first request with a key answered, so that a repeated one is answered, not done again."""

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id
from models.errors import Conflict, Invalid

KEPT = timedelta(hours=24)
# A request that never finished (the process died) gives its key free again.
RUNNING_AT_MOST = timedelta(minutes=2)


class IdempotencyKey(Base):
    """One write with a key of its own, from one access token."""

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
    def claim(cls, session: Session, token_id: int, key: str, digest: str, now: datetime) -> "IdempotencyKey | None":
        """None: this request is the first and may run. A row: its answer is to be given again.

        Raises Invalid when the key was used for another request, Conflict while the first one still runs.
        """
        if not key or len(key) > 255 or not key.isprintable():
            raise Invalid("Idempotency-Key: give 1 to 255 printable characters.")
        mine = (cls.token_id == token_id, cls.key == key)
        old = (cls.created_at < now - KEPT) | (cls.status.is_(None) & (cls.created_at < now - RUNNING_AT_MOST))
        session.execute(delete(cls).where(*mine, old))
        new = insert(cls).values(token_id=token_id, key=key, request_digest=digest)
        if session.execute(new.on_conflict_do_nothing().returning(cls.id)).first() is not None:
            return None
        found = session.scalars(select(cls).where(*mine)).one()
        if found.request_digest != digest:
            raise Invalid("Idempotency-Key: this key was used for another request. Use a new one.")
        if found.status is None:
            raise Conflict("The first request with this Idempotency-Key is still running.")
        return found

    @classmethod
    def answered(cls, session: Session, token_id: int, key: str, status: int, body: bytes) -> None:
        """Keeps what was answered."""
        mine = (cls.token_id == token_id, cls.key == key)
        session.execute(update(cls).where(*mine).values(status=status, body=body))

    @classmethod
    def release(cls, session: Session, token_id: int, key: str) -> None:
        """Gives the key free again: the request failed on our side and may be tried anew."""
        session.execute(delete(cls).where(cls.token_id == token_id, cls.key == key, cls.status.is_(None)))

    @classmethod
    def forget_old(cls, session: Session, now: datetime) -> int:
        """Deletes what is older than a day; says how many."""
        return session.execute(delete(cls).where(cls.created_at < now - KEPT)).rowcount  # type: ignore[attr-defined]
