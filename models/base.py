"""What every table shares: the declarative base, integer ids, and the database's clock."""

from datetime import UTC, datetime
from typing import Annotated, TypeVar

from sqlalchemy import BigInteger, ColumnElement, DateTime, Identity, MetaData, Select, TextClause, func, select
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

# Named constraints, so that a migration can speak of them.
NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

NOW = select(func.now())
Row = TypeVar("Row", bound="Base")

Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
Ref = Annotated[int, mapped_column(BigInteger)]
Time = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Born = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]


class Base(DeclarativeBase):
    """The base of all tables. Ids are integers below 2^53, as plugins read them as JSON numbers."""

    metadata = MetaData(naming_convention=NAMES)

    def __repr__(self) -> str:
        """Class and id only: a row's texts and secrets have no place in a log."""
        return f"<{type(self).__name__} {getattr(self, 'id', None)}>"


def locking(cls: type[Row], *which: ColumnElement[bool] | TextClause) -> Select[Row]:
    """The rows that fit, under their locks, by ascending id, in one statement; as they are when they are got."""
    query = select(cls).where(*which).order_by(cls.id).with_for_update(key_share=True)  # type: ignore[attr-defined]
    return query.execution_options(populate_existing=True)


def utcnow() -> datetime:
    """This machine's clock. What is judged between rows uses `database_time` instead."""
    return datetime.now(UTC)


def database_time(session: Session) -> datetime:
    """The start of this transaction by the database's clock: one clock for all processes and machines."""
    return session.execute(NOW).scalar_one()
