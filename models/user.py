"""People: who signs in, with which role."""

from datetime import datetime
from enum import StrEnum
from zoneinfo import available_timezones

from sqlalchemy import Select, String, Text, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session

from models import passwords
from models.base import Base, Born, Id, Time
from models.broadcast import broadcast
from models.errors import Invalid, NameTaken
from models.prepared import prepared

LOCALES = ("en", "ko")
THEMES = ("light", "dark")
DEVICE_ZONE = "UTC"  # the zone of who never chose one: pages then show the times of the device


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
    def members(cls, session: Session) -> list["User"]:
        """Everybody who has an account, by name."""
        return list(session.scalars(*_members()))

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
        try:
            with session.begin_nested():
                session.add(user)
        except IntegrityError:  # somebody was faster by a moment
            raise NameTaken(email=f"{email} has an account here.") from None
        return user

    def is_at_least(self, role: Role) -> bool:
        """Whether this person's role includes the given one."""
        return self.removed_at is None and Role(self.role).includes(role)

    def change(self, name: str, locale: str, zone: str, theme: str | None, single_keys: bool) -> None:
        """What a person decides about their own pages. Raises Invalid with every field at fault."""
        problems: dict[str, str] = {}
        if locale not in LOCALES:
            problems["locale"] = "Choose one of the languages."
        if zone != DEVICE_ZONE and zone not in available_timezones():
            problems["zone"] = "Choose one of the time zones."
        if theme is not None and theme not in THEMES:
            problems["theme"] = "Choose light, dark, or as this device."
        try:
            name = check_name(name)
        except Invalid as refusal:
            problems = {**refusal.fields, **problems}
        if problems:
            raise Invalid(**problems)
        self.name, self.locale, self.zone, self.theme, self.single_keys = name, locale, zone, theme, single_keys

    def set_password(self, password_hash: str) -> None:
        """A new password, given hashed; signs out every browser."""
        self.password_hash = password_hash
        self.end_cookies()

    def end_cookies(self) -> None:
        """Signs out every browser; open sockets are told to show their rights again."""
        self.cookie_key = passwords.new_secret()
        self.say_credentials_ended()

    def say_credentials_ended(self) -> None:
        """A cookie or token of this person has ended: whoever came in by it has to come in again."""
        session = object_session(self)
        if session is not None and self.id is not None:
            broadcast(session, self.stream, "credentials")

    def remove(self, now: datetime) -> None:
        """Ends the account; what the person said stays. Their address may be invited again."""
        self.removed_at = now
        self.email = f"{self.id}@removed.invalid"
        self.password_hash = None
        self.end_cookies()


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


@prepared
def _members() -> Select[User]:
    return select(User).where(User.removed_at.is_(None)).order_by(func.lower(User.name), User.id)
