"""The tray: what gateways said that fits no topic. A person puts it where it belongs, or throws it away."""

from datetime import timedelta
from typing import Any

import flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import overview, tray
from models.base import database_time
from models.creative import Creative
from models.database import transaction
from models.errors import Invalid, Refusal
from models.markup import render
from models.message import Message, Source
from models.topic import Topic
from models.tray_item import TrayItem
from models.user import Role, User
from webapp import words
from webapp.acting import acted
from webapp.auth import at_least, person
from webapp.pages import shell
from webapp.pages.forms import answer, go_to

MOST = 50
MOST_TOPICS = 200
MOST_LOOKED_AT = 2000
# What made the gateway say it, behind the gateway's name.
SOURCES = {
    "job": "a scheduled job",
    "inject": "put in at the gateway",
    "operator": "another operator",
    "resumed": "a run that went on",
    "unknown": "nobody knows what made it",
}

blueprint = flask.Blueprint("tray", __name__)


@blueprint.get("/tray")
@at_least(Role.OPERATOR)
def index() -> flask.Response:
    """What lies there, the newest first."""
    return page()


@blueprint.post("/tray/<int:id>/assign")
@at_least(Role.OPERATOR)
def assign(id: int) -> flask.Response:
    """Says it in a topic, as unasked; if wished, all that comes under its key from now on."""
    chosen, remember = flask.request.form.get("topic_id", ""), "remember" in flask.request.form
    try:
        if not (chosen.isascii() and chosen.isdecimal() and len(chosen) < 16):
            raise Invalid(topic_id="Choose a topic.")
        with transaction() as session:
            tray.assign(session, id, person(), int(chosen), remember, database_time(session))
            acted(session, person(), "tray_assigned", "put something from the tray into a topic.", topic_id=int(chosen))
    except Refusal as refusal:
        return page(refusal)
    return go_to("tray.index")


@blueprint.post("/tray/<int:id>/throw-away")
@at_least(Role.OPERATOR)
def throw_away(id: int) -> flask.Response:
    """Nobody will read it."""
    try:
        with transaction() as session:
            tray.throw_away(session, id, person(), database_time(session))
            acted(session, person(), "tray_thrown_away", "threw something in the tray away.")
    except Refusal as refusal:
        return page(refusal)
    return go_to("tray.index")


def page(refusal: Refusal | None = None) -> flask.Response:
    """The tray; `refusal` is why something was not done."""
    user = person()
    with transaction() as session:
        rows = session.execute(tray.waiting().order_by(TrayItem.id.desc()).limit(MOST + 1)).all()
        topics = writable(session, user) if rows else []
        counts = None if rows else lately(session)
    return answer(
        "tray/tray.html",
        200 if refusal is None else refusal.status,
        lead="What gateways say that fits no topic comes here.",
        items=[shown(row) for row in rows[:MOST]],
        topics=topics,
        more=len(rows) > MOST,
        counts=counts,
        refused=None if refusal is None else str(refusal),
        streams=shell.streams(user, "hub"),
        refresh_on="tray",
    )


def shown(row: Any) -> dict[str, Any]:
    """A row of `tray.waiting`."""
    item, gateway, _ = row
    return {
        "id": item.id,
        "gateway": gateway,
        "source": SOURCES.get(item.source, item.source),
        "at": item.created_at,
        "why": item.why,
        "key": item.session_key,
        "html": render(item.text),
    }


def writable(session: Session, user: User) -> list[tuple[int, str]]:
    """The topics in which the person may write, the newest first."""
    inbox = select(Creative.id).where(Creative.owner_id == user.id, Creative.is_inbox)
    others = overview.writable_creatives(user.id).with_only_columns(Creative.id).order_by(None)
    query = (
        select(Topic.id, Topic.name, Creative.name.label("creative"), Creative.is_inbox)
        .join(Creative, Creative.id == Topic.creative_id)
        .where(Topic.creative_id.in_(inbox.union(others)), Topic.archived_at.is_(None))
        .order_by(Topic.active_at.desc(), Topic.id.desc())
        .limit(MOST_TOPICS)
    )
    return [(row.id, row.name if row.is_inbox else f"{row.name}, in {row.creative}") for row in session.execute(query)]


def lately(session: Session) -> str:
    """Why it is empty, with a figure."""
    day = func.now() - timedelta(hours=24)
    # Only the newest are looked at: a hub may hold a million, and no index tells them by their day.
    shown = (Message.source, Message.gateway_id, Message.created_at)
    newest = select(*shown).order_by(Message.id.desc()).limit(MOST_LOOKED_AT).subquery()
    query = select(func.count()).where(newest.c.source == Source.PROACTIVE, newest.c.created_at > day)
    unasked = session.scalar(query.where(newest.c.gateway_id.is_not(None))) or 0
    if not unasked:
        return "In the last 24 hours no gateway said anything unasked, as far as the newest messages tell."
    came = words.plural(
        unasked,
        "1 unasked message came in, and found its topic.",
        "{n} unasked messages came in, and every one found its topic.",
    )
    return f"In the last 24 hours, as far as the newest messages tell, {came}"
