"""Sign-in attempts as rows, so that the limit holds over all processes and the account's owner can see them."""

from datetime import datetime, timedelta

from sqlalchemy import Index, Select, String, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id, Time
from models.errors import RateLimited
from models.prepared import prepared

LIMIT = 10
WINDOW = timedelta(minutes=5)
KEPT = timedelta(days=30)
# Any constant: with the hash of account and address it names the lock under which their tries are counted.
LOCK = 0x7159


class SignInAttempt(Base):
    """One failed try to sign in to an account (by the email given) from an address."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (Index("ix_sign_in_attempts_email_at", "email", "at"),)

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(254))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[Born]
    seen_at: Mapped[Time | None]

    @classmethod
    def refuse_when_too_many(cls, session: Session, email: str, address: str, now: datetime) -> int:
        """How many tries are left for this account from this address. Raises RateLimited when none are."""
        within = (cls.email == email, cls.address == address, cls.at > now - WINDOW)
        count, oldest = session.execute(select(func.count(), func.min(cls.at)).where(*within)).one()
        if count >= LIMIT:
            wait = max(1, int((oldest + WINDOW - now).total_seconds()) + 1)
            raise RateLimited(f"Too many tries. Try again in {wait} s.", retry_after=wait)
        return LIMIT - count

    @classmethod
    def begin(cls, session: Session, email: str, address: str, now: datetime) -> tuple["SignInAttempt", int]:
        """Counts a try as failed before the password is judged, so that many at once cannot slip through the limit.

        The email is what was typed, cut to size; it may belong to nobody. Gives the try, to be deleted when the
        password fits, and how many are left after it. Raises RateLimited.
        """
        email, address = email[:254], address[:64]
        session.execute(select(func.pg_advisory_xact_lock(LOCK, func.hashtext(f"{email}\n{address}"))))
        left = cls.refuse_when_too_many(session, email, address, now)
        attempt = cls(email=email, address=address)
        session.add(attempt)
        session.flush()
        return attempt, left - 1

    @classmethod
    def take_back(cls, session: Session, id: int) -> None:
        """The password fitted: it was no failure."""
        session.execute(delete(cls).where(cls.id == id))

    @classmethod
    def mark_seen(cls, session: Session, email: str, now: datetime) -> None:
        """The account's owner has seen all failures up to now."""
        session.execute(update(cls).where(cls.email == email, cls.seen_at.is_(None)).values(seen_at=now))

    @classmethod
    def unseen(cls, session: Session, email: str) -> tuple[int, datetime | None, str | None]:
        """Failures the account's owner was not shown yet: how many, when last, from where."""
        last = session.execute(*_unseen(email)).first()
        return (0, None, None) if last is None else (last[0], last.at, last.address)

    @classmethod
    def forget_old(cls, session: Session, now: datetime) -> int:
        """Deletes what is older than thirty days; says how many."""
        return session.execute(delete(cls).where(cls.at < now - KEPT)).rowcount  # type: ignore[attr-defined]


@prepared
def _unseen(email: str) -> Select[int, datetime, str]:
    mine = (SignInAttempt.email == email, SignInAttempt.seen_at.is_(None))
    counted = select(func.count().over(), SignInAttempt.at, SignInAttempt.address).where(*mine)
    return counted.order_by(SignInAttempt.id.desc()).limit(1)
