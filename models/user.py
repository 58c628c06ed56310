"""People: who signs in, with which role."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import passwords
from models.base import Base, Born, Id, Time
from models.errors import Invalid, NameTaken


class Role(StrEnum):
    """What a person may do, from least to most; each includes those before it."""

    VIEWER = "viewer"
    MEMBER = "member"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """The place in the order, viewer first."""
        return list(Role).index(self)

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that the other may."""
        return self.rank >= other.rank


class User(Base):
    """A person who signs in."""

    __tablename__ = "users"

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[str] = mapped_column(String(16), default=Role.MEMBER)
    password_hash: Mapped[str | None] = mapped_column(Text)
    # Part of every cookie: a new value signs out all browsers.
    cookie_key: Mapped[str] = mapped_column(String(64), default=passwords.new_secret)
    locale: Mapped[str] = mapped_column(String(8), default="en")
    zone: Mapped[str] = mapped_column(String(64), default="UTC")
    theme: Mapped[str | None] = mapped_column(String(8))
    single_keys: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Born]
    removed_at: Mapped[Time | None]

    @property
    def stream(self) -> str:
        """Where nudges for this person alone are broadcast."""
        return f"user:{self.id}"

    @classmethod
    def by_email(cls, session: Session, email: str) -> "User | None":
        """The person with this address, whatever its case; removed people are not found."""
        return session.scalars(select(cls).where(cls.email == email.strip().lower(), cls.removed_at.is_(None))).first()

    @classmethod
    def by_id(cls, session: Session, id: int) -> "User | None":
        """The person with this id; removed people are not found."""
        return session.scalars(select(cls).where(cls.id == id, cls.removed_at.is_(None))).first()

    @classmethod
    def any(cls, session: Session) -> bool:
        """Whether this hub has an account at all."""
        return session.scalar(select(cls.id).where(cls.removed_at.is_(None)).limit(1)) is not None

    @classmethod
    def create(cls, session: Session, email: str, name: str, role: str, password_hash: str | None = None) -> "User":
        """A new person. The password comes hashed: hashing takes 0.1 s and has no place in a transaction.

        Raises Invalid (email, name, role) or NameTaken (email).
        """
        email, name = check_email(email), check_name(name)
        if role not in list(Role):
            raise Invalid(role=f"Choose one of the roles {', '.join(Role)}.")
        if session.scalar(select(cls.id).where(cls.email == email)) is not None:
            raise NameTaken(email=f"{email} has an account here.")
        user = cls(email=email, name=name, role=role, password_hash=password_hash)
        session.add(user)
        session.flush()
        return user

    def is_at_least(self, role: Role) -> bool:
        """Whether this person's role includes the given one."""
        return self.removed_at is None and Role(self.role).includes(role)

    def set_password(self, password_hash: str) -> None:
        """A new password, given hashed; signs out every browser."""
        self.password_hash = password_hash
        self.cookie_key = passwords.new_secret()

    def remove(self, now: datetime) -> None:
        """Ends the account; what the person said stays."""
        self.removed_at = now
        self.cookie_key = passwords.new_secret()
        self.password_hash = None


def check_email(email: str) -> str:
    """The address trimmed and in lower case. Raises Invalid."""
    email = email.strip().lower()
    local, at, host = email.partition("@")
    if (
        not (local and at and host)
        or any(c.isspace() or not c.isprintable() for c in email)
        or "@" in host
        or len(email) > 254
    ):
        raise Invalid(email="Give an email address such as ann@example.org.")
    return email


def check_name(name: str, what: str = "name", limit: int = 80) -> str:
    """The name with blanks trimmed and folded. Raises Invalid when blank, too long, or not printable."""
    name = " ".join(name.split())
    if not name:
        raise Invalid(**{what: f"Give a {what}."})
    if len(name) > limit:
        raise Invalid(**{what: f"Give a {what} of at most {limit} characters; this one has {len(name)}."})
    if not name.isprintable():
        raise Invalid(
            **{what: f"Use letters, digits and blanks for the {what}; it contains something that cannot be shown."}
        )
    return name
