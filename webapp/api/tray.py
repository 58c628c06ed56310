"""What gateways said that fits no topic: to look at, to put where it belongs, to throw away."""

from datetime import datetime

import msgspec

from models import listing, tray
from models.tray_item import TrayItem as Row
from models.user import Role
from webapp.acting import acted
from webapp.api.door import Ask, Calls
from webapp.api.fields import Id, Page

calls = Calls.named("tray")


class TrayItem(msgspec.Struct):
    """One thing said; `why` says why it fits nowhere, `topic_id` where it was put."""

    id: int
    gateway_id: int
    session_key: str
    run_id: str
    text: str
    source: str
    why: str
    created_at: datetime
    topic_id: int | None


class TrayItems(msgspec.Struct):
    """A page of the tray; `next` asks for more."""

    items: list[TrayItem]
    next: int | None


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """Where it belongs; `remember`: what comes under the same key goes there from now on."""

    topic_id: Id
    remember: bool = False


@calls.call("GET", "/tray", takes=Page, gives=TrayItems, role=Role.OPERATOR)
def list_tray(ask: Ask[Page]) -> TrayItems:
    """What lies in the tray, the newest first."""
    rows, more = listing.page(ask.session, tray.waiting(), Row.id, ask.given.limit, ask.given.after)
    return TrayItems([_shown(row[0]) for row in rows], more)


@calls.call("POST", "/tray/<int:item_id>/assign", takes=Assignment, gives=TrayItem, role=Role.OPERATOR)
def assign(ask: Ask[Assignment], item_id: int) -> TrayItem:
    """Says it in a topic, as unasked. Needs the right feedback there."""
    given = ask.given
    item = tray.assign(ask.session, item_id, ask.user, given.topic_id, given.remember, ask.now)
    acted(ask.session, ask.user, "tray_assigned", "put something from the tray into a topic.", topic_id=given.topic_id)
    return _shown(item)


@calls.call("DELETE", "/tray/<int:item_id>", role=Role.OPERATOR)
def throw_away(ask: Ask[None], item_id: int) -> None:
    """Throws it away."""
    tray.throw_away(ask.session, item_id, ask.user, ask.now)
    acted(ask.session, ask.user, "tray_thrown_away", "threw something in the tray away.")


def _shown(item: Row) -> TrayItem:
    return msgspec.convert(item, TrayItem, from_attributes=True)
