"""A browser in which a person is signed in: where it came from and when it was last here; ended one by one."""

import functools
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, ForeignKey, Select, String, bindparam, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id, Time
from models.errors import NotFound
from models.user import User

# Once a minute is exact enough for people, and spares a write per request.
NOTED_EVERY = timedelta(minutes=1)
# A cookie lives no longer than this.
SIGNED_IN_FOR = timedelta(days=30)


class Browser(Base):
    """One sign-in. The cookie, which is signed, names its id."""

    __tablename__ = "browsers"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    address: Mapped[str] = mapped_column(String(64))
    # What it calls itself, cut: shown to its owner, trusted by nobody.
    program: Mapped[str] = mapped_column(String(300))
    # The person's cookie key when it signed in: a new key has ended it, too.
    cookie_key: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Born]
    seen_at: Mapped[Born]
    ended_at: Mapped[Time | None]

    @classmethod
    def begin(cls, session: Session, user: User, address: str, program: str) -> "Browser":
        """A person has signed in from there."""
        called = program.replace("\x00", "")[:300]
        browser = cls(user_id=user.id, address=address[:64], program=called, cookie_key=user.cookie_key)
        session.add(browser)
        session.flush()
        return browser

    @classmethod
    def find(cls, session: Session, id: int, user_id: int, key: str) -> tuple[User, bool] | None:
        """The person of a cookie, None when it has ended; and whether its being here is to be noted again."""
        found = session.execute(cls._finding(), {"browser": id, "person": user_id, "key": key}).first()
        return None if found is None else (found[0], found[1])

    @classmethod
    @functools.cache
    def _finding(cls) -> Select[User, bool]:
        # Every page asks it: put together once, as that takes longer than to ask.
        id, person = bindparam("browser", type_=BigInteger), bindparam("person", type_=BigInteger)
        late = cls.seen_at < func.now() - NOTED_EVERY
        mine = (cls.id == id, cls.ended_at.is_(None), User.id == person, User.removed_at.is_(None))
        key = User.cookie_key == bindparam("key", type_=String)
        return select(User, late).join(cls, cls.user_id == User.id).where(*mine, key)

    @classmethod
    def note(cls, session: Session, id: int, address: str) -> None:
        """It is here again, from this address."""
        session.execute(update(cls).where(cls.id == id).values(seen_at=func.now(), address=address[:64]))

    @classmethod
    def of(cls, session: Session, user: User, now: datetime) -> list["Browser"]:
        """Those in which the person is signed in, the one seen last first."""
        live = (cls.user_id == user.id, cls.ended_at.is_(None), cls.cookie_key == user.cookie_key)
        fresh = cls.created_at > now - SIGNED_IN_FOR
        query = select(cls).where(*live, fresh).order_by(cls.seen_at.desc(), cls.id.desc())
        return list(session.scalars(query.limit(100)))

    @classmethod
    def end(cls, session: Session, user: User, id: int, now: datetime) -> "Browser":
        """Signs one of the person's browsers out; its open pages are told. Raises NotFound."""
        mine = select(cls).where(cls.id == id, cls.user_id == user.id, cls.ended_at.is_(None))
        found = session.scalars(mine.with_for_update()).first()
        if found is None:
            raise NotFound("This browser is signed out already.")
        found.ended_at = now
        session.flush()
        user.say_credentials_ended()
        return found

    @classmethod
    def end_all(cls, session: Session, user: User, now: datetime) -> None:
        """Signs out all of them; their cookies end with the person's cookie key."""
        session.execute(update(cls).where(cls.user_id == user.id, cls.ended_at.is_(None)).values(ended_at=now))
        user.end_cookies()
