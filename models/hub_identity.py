"""Eight letters that tell this hub from others on the same gateway; made with the database, kept by its backups."""

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base


class HubIdentity(Base):
    """The one row, made by the migration."""

    __tablename__ = "hub_identity"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(8))

    @classmethod
    def of(cls, session: Session) -> str:
        """8 hex digits; they end each session key of this hub."""
        return session.scalars(select(cls.name)).one()
