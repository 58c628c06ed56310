"""Links that work once: the first set-up, an invitation, a password reset."""

import hmac
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ForeignKey, Select, String, delete, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import passwords
from models.base import Base, Born, Id, Time
from models.errors import Invalid, NameTaken, NotFound
from models.prepared import prepared
from models.user import Role, User, check_email

LIFETIME = {"set-up": timedelta(days=7), "invitation": timedelta(days=7), "reset": timedelta(hours=24)}


class LinkKind(StrEnum):
    """What following the link does."""

    SET_UP = "set-up"
    INVITATION = "invitation"
    RESET = "reset"


class OneTimeLink(Base):
    """A right that whoever holds the secret may use once, until it expires."""

    __tablename__ = "one_time_links"

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(16), index=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    secret_digest: Mapped[str] = mapped_column(String(64))
    email: Mapped[str | None] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(16), default=Role.MEMBER)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[Born]
    expires_at: Mapped[Time]
    used_at: Mapped[Time | None]

    @classmethod
    def set_up(cls, session: Session, now: datetime) -> str:
        """A new set-up link's secret part; earlier ones end, so that only the one on the terminal counts."""
        session.execute(delete(cls).where(cls.kind == LinkKind.SET_UP))
        return cls._create(session, LinkKind.SET_UP, now, role=Role.ADMIN)[1]

    @classmethod
    def invite(cls, session: Session, email: str, role: str, by: User, now: datetime) -> tuple["OneTimeLink", str]:
        """An invitation for this address; an earlier one for it ends. Raises Invalid (email, role) or NameTaken."""
        email = check_email(email)
        if role not in list(Role):
            raise Invalid(role=f"Choose one of the roles {', '.join(Role)}.")
        if User.by_email(session, email) is not None:
            raise NameTaken(email=f"{email} has an account here.")
        earlier = (cls.kind == LinkKind.INVITATION, cls.email == email, cls.used_at.is_(None))
        session.execute(delete(cls).where(*earlier))
        return cls._create(session, LinkKind.INVITATION, now, email=email, role=role, created_by_id=by.id)

    @classmethod
    def reset(cls, session: Session, user: User, by: User | None, now: datetime) -> tuple["OneTimeLink", str]:
        """A link by which the person sets a new password; earlier ones for the same person end."""
        session.execute(delete(cls).where(cls.kind == LinkKind.RESET, cls.user_id == user.id, cls.used_at.is_(None)))
        return cls._create(session, LinkKind.RESET, now, user_id=user.id, created_by_id=by.id if by else None)

    @classmethod
    def _create(cls, session: Session, kind: LinkKind, now: datetime, **values: object) -> tuple["OneTimeLink", str]:
        public_id, secret = passwords.new_secret()[:12], passwords.new_secret()
        link = cls(
            kind=kind,
            public_id=public_id,
            secret_digest=passwords.digest(secret),
            expires_at=now + LIFETIME[kind],
            **values,
        )
        session.add(link)
        session.flush()
        return link, f"{public_id}.{secret}"

    @classmethod
    def find(cls, session: Session, kind: LinkKind, text: str, now: datetime, lock: bool = False) -> "OneTimeLink":
        """The link with this secret part, still unused. `lock` it to use it. Raises NotFound."""
        public_id, _, secret = text.partition(".")
        query = select(cls).where(cls.kind == kind, cls.public_id == public_id.replace("\x00", ""))
        link = session.scalars(query.with_for_update(key_share=True) if lock else query).first()
        known = link is not None and hmac.compare_digest(link.secret_digest, passwords.digest(secret))
        if link is None or not known or link.used_at is not None or link.expires_at <= now:
            raise NotFound("This link was used or has expired. Ask an admin for a new one.")
        return link

    @classmethod
    def open_invitations(cls, session: Session, now: datetime) -> list["OneTimeLink"]:
        """Invitations nobody has used yet, newest first."""
        return list(session.scalars(*cls._open(now)))

    @classmethod
    @prepared
    def _open(cls, now: datetime) -> Select["OneTimeLink"]:
        waiting = (cls.kind == LinkKind.INVITATION, cls.used_at.is_(None), cls.expires_at > now)
        return select(cls).where(*waiting).order_by(cls.id.desc()).limit(200)

    @classmethod
    def take_back(cls, session: Session, id: int) -> None:
        """Ends an open invitation. Raises NotFound when it was used or taken back already."""
        waiting = (cls.id == id, cls.kind == LinkKind.INVITATION, cls.used_at.is_(None))
        if session.scalars(delete(cls).where(*waiting).returning(cls.id)).first() is None:
            raise NotFound("This invitation was used or taken back already.")

    @classmethod
    def end_open(cls, session: Session, user_id: int) -> None:
        """Ends the open links that this person made, or that were made for them."""
        concerns = or_(cls.created_by_id == user_id, cls.user_id == user_id)
        session.execute(delete(cls).where(cls.used_at.is_(None), concerns))

    def use(self, now: datetime) -> None:
        """Ends the link, in the transaction that does what it stands for."""
        self.used_at = now
