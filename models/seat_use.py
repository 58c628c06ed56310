"""How the seats were used over the last day, and what of them could not be reset; for the board of the seats."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, or_, select
from sqlalchemy.orm import Session

from models.chat_slot import ChatSlot, Seating
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, RequestStatus

CELLS = 48
DAY = timedelta(days=1)


class Cell(NamedTuple):
    """Half an hour: when it began, and the most seats that were taken at a time."""

    begins: datetime
    most: int


def last_day(session: Session, now: datetime) -> list[Cell]:
    """The last day in half hours, the oldest first."""
    since = now - DAY
    lasted = or_(Seating.released_at.is_(None), Seating.released_at > since)
    rows = session.execute(select(Seating.taken_at, Seating.released_at).where(lasted)).all()
    changes = sorted(
        [(max(row.taken_at, since), 1) for row in rows]
        + [(row.released_at, -1) for row in rows if row.released_at is not None]
    )
    length, taken, place, cells = DAY / CELLS, 0, 0, []
    for number in range(CELLS):
        begins = since + number * length
        most = taken
        while place < len(changes) and changes[place][0] < begins + length:
            taken += changes[place][1]
            most = max(most, taken)
            place += 1
        cells.append(Cell(begins, most))
    return cells


def not_reset(session: Session, now: datetime) -> Sequence[Row[*tuple[Any, ...]]]:
    """Seats left within the last day whose gateway could not forget what was said there, and why; the newest first."""
    failed = GatewayRequest.status.in_((RequestStatus.REFUSED, RequestStatus.EXPIRED))
    query = (
        select(
            ChatSlot.name,
            Gateway.name.label("gateway_name"),
            Seating.released_at,
            GatewayRequest.refusal_text.label("why"),
        )
        .join(ChatSlot, ChatSlot.id == Seating.slot_id)
        .join(Gateway, Gateway.id == ChatSlot.gateway_id)
        .join(GatewayRequest, GatewayRequest.id == Seating.reset_request_id)
        .where(Seating.released_at > now - DAY, failed, GatewayRequest.refusal_code.is_distinct_from("withdrawn"))
        .order_by(Seating.id.desc())
        .limit(10)
    )
    return session.execute(query).all()
