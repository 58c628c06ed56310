"""What topics live in, and who may read, give feedback, administer. Everybody's inbox is one."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Select, String, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id
from models.broadcast import broadcast
from models.errors import Forbidden, Invalid, NotFound
from models.prepared import prepared
from models.user import Role, User, check_name


class Level(StrEnum):
    """A right on a creative; each includes those before it."""

    READ = "read"
    FEEDBACK = "feedback"
    ADMIN = "admin"

    def includes(self, other: "Level") -> bool:
        """Whether this level allows all that the other allows."""
        order = list(Level)
        return order.index(self) >= order.index(other)


class Creative(Base):
    """A container of topics, owned by a person and shared with others."""

    __tablename__ = "creatives"
    __table_args__ = (Index("uq_creatives_inbox", "owner_id", unique=True, postgresql_where=text("is_inbox")),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(120))
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    is_inbox: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Born]

    @classmethod
    def inbox_of(cls, session: Session, user_id: int) -> "Creative":
        """The person's inbox, made when first asked for; two who ask at once get the same one."""
        mine = select(cls).where(cls.owner_id == user_id, cls.is_inbox)
        found = session.scalars(mine).first()
        if found is None:
            new = insert(cls).values(name="Inbox", owner_id=user_id, is_inbox=True)
            session.execute(new.on_conflict_do_nothing())
            found = session.scalars(mine).one()
        return found

    @classmethod
    def create(cls, session: Session, owner: User, name: str) -> "Creative":
        """A new container of the person's own."""
        creative = cls(name=check_name(name, limit=120), owner_id=owner.id, is_inbox=False)
        session.add(creative)
        session.flush()
        return creative

    @classmethod
    def readable_by(cls, user_id: int) -> Select[int]:
        """The ids of all creatives the person may read, as a subquery."""
        shared = select(CreativeShare.creative_id).where(CreativeShare.user_id == user_id)
        return select(cls.id).where(or_(cls.owner_id == user_id, cls.id.in_(shared)))

    @classmethod
    def seen_by(cls, session: Session, user: User, id: int) -> "Creative":
        """The creative, looked up through the person who asks. Raises NotFound."""
        found = session.scalars(select(cls).where(cls.id == id, cls.id.in_(cls.readable_by(user.id)))).first()
        if found is None:
            raise NotFound("There is no such creative, or it is not shared with you.")
        return found

    def level_of(self, session: Session, user_id: int) -> Level | None:
        """The person's right here, None when there is none."""
        if self.owner_id == user_id:
            return Level.ADMIN
        mine = (CreativeShare.creative_id == self.id, CreativeShare.user_id == user_id)
        level = session.scalar(select(CreativeShare.level).where(*mine))
        return None if level is None else Level(level)

    def allows(self, session: Session, user: User, level: Level) -> bool:
        """Whether the person may act here at this level. A viewer never does more than read."""
        held = self.level_of(session, user.id)
        if held is None or not held.includes(level):
            return False
        return level is Level.READ or user.is_at_least(Role.MEMBER)

    def require(self, session: Session, user: User, level: Level) -> None:
        """Raises Forbidden, in words, when the person may not act here at this level."""
        held = self.level_of(session, user.id)
        if held is None:  # who may not see it is not told its name either
            raise Forbidden(f"This needs the right {level} on a creative that is not shared with you.")
        if not held.includes(level):
            raise Forbidden(f"This needs the right {level} on {self.name}. Its owner can give it to you.")
        if level is not Level.READ and not user.is_at_least(Role.MEMBER):
            raise Forbidden("A viewer may read, not write. An admin can change that under People.")

    def share(
        self, session: Session, level: str, user_id: int | None = None, agent_id: int | None = None
    ) -> "CreativeShare":
        """Gives a person or an agent a right, or changes it; two who do so at once change one row. Raises Invalid."""
        if level not in list(Level):
            raise Invalid(level=f"Choose one of {', '.join(Level)}.")
        if self.is_inbox and user_id is not None:
            raise Invalid(
                creative_id="An inbox is not shared with people. Move the topic to a creative and share that."
            )
        if user_id == self.owner_id:
            raise Invalid(user_id="The owner has every right here already.")
        whose = "user_id" if user_id is not None else "agent_id"
        new = insert(CreativeShare).values(creative_id=self.id, user_id=user_id, agent_id=agent_id, level=level)
        stored = new.on_conflict_do_update(
            index_elements=["creative_id", whose],
            index_where=getattr(CreativeShare, whose).is_not(None),
            set_={"level": level},
        )
        share = session.scalars(stored.returning(CreativeShare), execution_options={"populate_existing": True}).one()
        self._say_rights_changed(session, user_id)
        return share

    def unshare(self, session: Session, share: "CreativeShare") -> None:
        """Takes a right back; open pages of that person are told to look again."""
        session.delete(share)
        session.flush()
        self._say_rights_changed(session, share.user_id)

    def shares(self, session: Session) -> list["CreativeShare"]:
        """Who has which right here, newest first."""
        mine = CreativeShare.creative_id == self.id
        return list(session.scalars(select(CreativeShare).where(mine).order_by(CreativeShare.id.desc())))

    def reader_ids(self, session: Session) -> list[int]:
        """The ids of the people who may read here, the owner's first."""
        return [self.owner_id, *(id for id in session.scalars(*_shared_with(self.id)) if id is not None)]

    def _say_rights_changed(self, session: Session, user_id: int | None) -> None:
        if user_id is not None:
            broadcast(session, f"user:{user_id}", "rights")


class CreativeShare(Base):
    """One right of one person or agent on one creative."""

    __tablename__ = "creative_shares"
    __table_args__ = (
        Index(
            "uq_creative_shares_user",
            "creative_id",
            "user_id",
            unique=True,
            postgresql_where=text("user_id IS NOT NULL"),
        ),
        Index(
            "uq_creative_shares_agent",
            "creative_id",
            "agent_id",
            unique=True,
            postgresql_where=text("agent_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    creative_id: Mapped[int] = mapped_column(ForeignKey("creatives.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    agent_id: Mapped[int | None] = mapped_column(ForeignKey("agents.id"), index=True)
    level: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[Born]


@prepared
def _shared_with(creative_id: int) -> Select[int | None]:
    here = (CreativeShare.creative_id == creative_id, CreativeShare.user_id.is_not(None))
    return select(CreativeShare.user_id).where(*here)
