"""How a chat reads: its lamp, its seat, why it waits; from a row of `models.seats.all_chats`."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import seats
from models.chat_context import is_context, prefaced
from models.chat_session import ChatState
from models.chat_slot import ChatSlot
from webapp import words
from webapp.fragments import moment

UNTITLED = "New chat"


def title(row: Any) -> str:
    """What it is called."""
    return row.title or UNTITLED


def lamp(row: Any) -> dict[str, Any]:
    """{state, word} of where it stands."""
    if row.state == ChatState.WAITING:
        return {"state": "waiting", "word": f"Place {row.place}"}
    if row.state == ChatState.ACTIVE and row.at_work:
        return {"state": "working", "word": "Answering"}
    if row.state == ChatState.ACTIVE:
        return {"state": "live", "word": "Active"}
    if row.state == ChatState.IDLE:
        return {"state": "live", "word": Markup("Idle {}").format(moment(row.last_active_at, "span"))}
    return {"state": "off", "word": "Deleted" if row.state == ChatState.DELETED else "Resting"}


def seat(session: Session, row: Any, now: Any) -> dict[str, Any]:
    """What the chat's page says of its seat (chats/seat.html)."""
    found: dict[str, Any] = {"id": row.id, "lamp": lamp(row), "words": None, "waits": False, "may_rest": False}
    if row.state == ChatState.WAITING:
        found["waits"] = True
        found["words"] = waits(row, seats.estimates(session, [row.pool_id], now).get(row.pool_id, []))
    elif row.state == ChatState.EXPIRED:
        found["words"] = "It has no seat now. Write to wake it; what was said goes along."
    elif row.state == ChatState.DELETED:
        found["words"] = "It was deleted."
    elif row.fallback:
        found["words"] = f"Answered by {row.gateway_agent_id}, all seats are taken."
    else:
        found["words"] = Markup("On seat {}, <code>{}</code> of {}, kept until {}.").format(
            row.slot_number, row.slot_name, row.gateway_name, moment(row.expires_at, "clock")
        )
    found["may_rest"] = row.state in (ChatState.ACTIVE, ChatState.IDLE) and not row.at_work
    return found


def waits(row: Any, expected: Sequence[seats.Next]) -> Any:
    """Why it waits, at which place, and when its turn is expected."""
    begun = Markup("Every seat of {} is taken. Place {} in the line, waiting for {}").format(
        row.gateway_name, row.place, moment(row.waiting_since, "span")
    )
    if row.place <= len(expected):
        nth = expected[row.place - 1]
        return Markup("{}; {} is expected to be free {}.").format(begun, nth.slot_name, moment(nth.at, "deadline"))
    return Markup("{}. More wait than there are seats, so nobody can say how long.").format(begun)


def moves(session: Session, topic_id: int, message_ids: Sequence[int]) -> dict[int, str]:
    """Before which of these messages the conversation went to another seat, and the line that says so."""
    rows = [row for row in prefaced(session, topic_id, message_ids) if is_context(row.preface)]
    if not rows:
        return {}
    names = {(row.gateway_agent_id or "").lower() for row in rows}
    known = select(ChatSlot).where(func.lower(ChatSlot.name).in_(names)).order_by(ChatSlot.id)
    numbers = {slot.name.lower(): slot.position for slot in session.scalars(known)}
    return {row.message_id: _continued(row.gateway_agent_id or "", numbers) for row in rows}


def _continued(name: str, numbers: dict[str, int]) -> str:
    number = numbers.get(name.lower())
    return f"continued by {name}" if number is None else f"continued on slot {number}"


def count(rows: Sequence[Any]) -> str | None:
    """The page's question in a sentence."""
    if not rows:
        return None
    waiting = sum(row.state == ChatState.WAITING for row in rows)
    seated = sum(row.slot_id is not None for row in rows)
    first = words.plural(seated, "One of your chats has a seat.", "{Word} of your chats have a seat.")
    return f"{first} {words.plural(waiting, 'One waits for one.', '{Word} wait for one.')}" if waiting else first


def owned(session: Session, user: Any, id: int) -> Any:
    """The row of this person's chat, None when there is none."""
    return seats.chat(session, user.id, id)
